"""Who issues the invoices, as the settings say."""

from application.invoice import Seller
from domain.contract.events import Particulars
from infrastructure.settings import Settings

NOBODY_YET = Particulars(name="Chancery", address="The seller's address is not set.")
"""So that an empty installation can be tried out; production mode issues nothing in this name."""


def seller_of(settings: Settings) -> Seller:
    stated = bool(settings.seller_name and settings.seller_address)
    if not stated and settings.mode == "development":
        return Seller(particulars=NOBODY_YET, stated=False)
    pairs = (each.partition("=") for each in settings.seller_identifiers)
    return Seller(
        particulars=Particulars(
            name=settings.seller_name,
            address=settings.seller_address or None,
            identifiers={name: value for name, _, value in pairs},
            note=settings.seller_note or None,
        ),
        stated=stated,
        in_earnest=settings.mode == "production",
    )
