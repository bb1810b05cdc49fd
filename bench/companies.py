"""Companies to register, one like the next in size, no two with the same numbers."""

from collections.abc import Iterator
from datetime import date
from itertools import count

from msgspec import json, structs, to_builtins

from domain.organisation.commands import AddOrganisation
from domain.organisation.events import Address, Addresses, Identifiers

COMPANY = AddOrganisation(
    full_name="SOCIETE GENERALE DE MENUISERIE",
    addresses=Addresses(
        legal=Address(
            text="9 RUE DU COLONEL PIERRE AVIA", postal_code="75015", locality="PARIS 15", country="FR"
        )
    ),
    activity_code="43.32A",
    headcount_band="12",
    started_on=date(2014, 4, 29),
    region_code="11",
)


def companies(start: int = 1) -> Iterator[AddOrganisation]:
    """As the French register has them: the check digits fit, the head office's address, no person in it."""
    return (structs.replace(COMPANY, identifiers=identifiers(number)) for number in count(start))


def identifiers(number: int) -> Identifiers:
    siren = _checked(b"%08d" % number)
    return Identifiers(siren=siren.decode(), nic=_checked(siren + b"0001")[9:].decode())


def body(numbers: Identifiers) -> bytes:
    """The same company as a client sends it: what is not known is left out."""
    known = {name: value for name, value in to_builtins(COMPANY).items() if value not in (None, False)}
    return json.encode(known | {"identifiers": to_builtins(numbers)})


def _checked(digits: bytes) -> bytes:
    """With Luhn's check digit at the end (ISO/IEC 7812-1, annex B)."""
    wrong = sum(digits[::-2].translate(_DOUBLED)) + sum(digits[-2::-2].translate(_VALUE))
    return digits + b"%d" % (-wrong % 10)


_VALUE = bytes.maketrans(b"0123456789", bytes(range(10)))
_DOUBLED = bytes.maketrans(b"0123456789", bytes(sum(divmod(2 * digit, 10)) for digit in range(10)))
