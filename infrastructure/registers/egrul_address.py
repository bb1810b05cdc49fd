"""An address of the Russian register in one line: street first, region and postal code last, as mail wants it."""

import re
from typing import Protocol

from msgspec import Struct

_POSTAL_CODE, _REGION = re.compile("[0-9]{6}"), re.compile("[0-9]{2}")


class Place(Struct, frozen=True, kw_only=True):
    text: str
    region_code: str
    postal_code: str | None = None


NOWHERE = Place(text="НЕ УКАЗАН", region_code="00")
"""The register says of no place."""


class Tag(Protocol):
    """An element of the XML file, as far as an address needs it."""

    attributes: dict[str, str]
    text: str

    def find(self, *path: str) -> "Tag | None": ...


_FIAS = (
    ("ЭлПланСтруктур", "Тип", "Наим"),
    ("ЭлУлДорСети", "Тип", "Наим"),
    ("Здание", "Тип", "Номер"),
    ("ПомещЗдания", "Тип", "Номер"),
    ("ПомещКвартиры", "Тип", "Номер"),
    ("НаселенПункт", "Вид", "Наим"),
)
_KLADR = (
    ("НаселПункт", "ТипНаселПункт", "НаимНаселПункт"),
    ("Город", "ТипГород", "НаимГород"),
    ("Район", "ТипРайон", "НаимРайон"),
    ("Регион", "ТипРегион", "НаимРегион"),
)


def of_fias(address: Tag) -> Place:
    """By the federal address register (СвАдрЮЛФИАС, АдрМНФИАС)."""
    region, name = address.find("Регион"), address.find("НаимРегион")
    parts = [_part(address, *each) for each in _FIAS]
    return _place([*parts, name.text.strip() if name else ""], region.text.strip() if region else "", address)


def of_kladr(address: Tag) -> Place:
    """By the older classifier of addresses (АдресРФ, АдрМНРФ)."""
    street = _part(address, "Улица", "ТипУлица", "НаимУлица")
    house = [address.attributes.get(each, "") for each in ("Дом", "Корпус", "Кварт")]
    parts = [street, *house, *(_part(address, *each) for each in _KLADR)]
    return _place(parts, address.attributes.get("КодРегион", ""), address)


def _place(parts: list[str], region_code: str, address: Tag) -> Place:
    code = address.attributes.get("Индекс", "")
    postal_code = code if _POSTAL_CODE.fullmatch(code) else None
    said = [" ".join(part.split()).upper() for part in (*parts, postal_code or "")]
    text = ", ".join(dict.fromkeys(part for part in said if part.strip("-")))  # Moscow is a town and a region
    return Place(
        text=text[:1_000] or NOWHERE.text,
        region_code=region_code if _REGION.fullmatch(region_code) else NOWHERE.region_code,
        postal_code=postal_code,
    )


def _part(address: Tag, name: str, kind: str, value: str) -> str:
    """`УЛ. ЛЕНИНА`: the kind gets its dot where the register forgot it."""
    tag = address.find(name)
    said = "" if tag is None else tag.attributes.get(value, "")
    if tag is None or not said.strip("-"):
        return ""
    shortened = tag.attributes.get(kind, "").strip().rstrip(".")
    dot = "." if len(shortened) < 4 and "-" not in shortened else ""
    return f"{shortened}{dot} {said}" if shortened else said
