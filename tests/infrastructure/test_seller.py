"""Who stands on an invoice as its seller."""

from infrastructure.papers.seller import seller_of
from infrastructure.settings import Settings


def test_the_settings_say_who_sells():
    seller = seller_of(
        Settings(
            seller_name="Quai SA",
            seller_address="1 Quay, Le Havre",
            seller_identifiers=("siren=732829320", "vat=FR39732829320"),
            seller_note="VAT not applicable, art. 293 B CGI",
        )
    )
    assert seller.stated
    assert seller.particulars.identifiers == {"siren": "732829320", "vat": "FR39732829320"}
    assert (seller.particulars.name, seller.particulars.note) == (
        "Quai SA",
        "VAT not applicable, art. 293 B CGI",
    )


def test_an_empty_installation_can_be_tried_out_and_production_issues_nothing_in_that_name():
    tried = seller_of(Settings())
    assert not tried.stated
    assert tried.particulars.name
    assert tried.particulars.address
    bare = seller_of(Settings(mode="production"))
    assert (bare.particulars.name, bare.particulars.address) == ("", None)
