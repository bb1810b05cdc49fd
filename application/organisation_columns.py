"""The columns of a table of organisations: which field each is, and a row of cells as the body of a command."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

_PATHS = (
    *("full_name", "short_name", "region_code", "is_gov", "is_military", "is_liquidated"),
    *("activity_code", "headcount_band", "started_on", "account_manager_id"),
    *(f"identifiers.{name}" for name in ("inn", "kpp", "ogrn", "siren", "nic", "tax_id")),
    *("management.position", "management.name"),
    *(
        f"addresses.{kind}.{part}"
        for kind in ("legal", "factual", "mailing")
        for part in ("text", "postal_code", "locality", "complement", "country")
    ),
)
SIRET, STREET = "siret", "addresses.legal.street"
"""Fourteen digits that are a siren and a nic; an address without postal code and place, which are put behind it."""
TARGETS: Mapping[str, str] = {
    **{path: path for path in _PATHS},
    **{path.removeprefix("identifiers."): path for path in _PATHS},
    **{f"{kind}_address": f"addresses.{kind}.text" for kind in ("legal", "factual", "mailing")},
    SIRET: SIRET,
    "street": STREET,
}
"""What a mapping may say a column is, and the field it means."""

_OTHER_NAMES: Mapping[str, str] = {
    "name": "full_name",
    "region": "region_code",
    "address": "addresses.legal.text",
    "nom_raison_sociale": "full_name",
    "denomination": "full_name",
    "activite_principale": "activity_code",
    "date_debut_activite": "started_on",
    "tranche_effectif_salarie": "headcount_band",
    "adresse": STREET,
    "complement_adresse": "addresses.legal.complement",
    "code_postal": "addresses.legal.postal_code",
    "commune": "addresses.legal.locality",
    "pays": "addresses.legal.country",
    "инн": "identifiers.inn",
    "кпп": "identifiers.kpp",
    "огрн": "identifiers.ogrn",
    "наименование": "full_name",
    "полное_наименование": "full_name",
    "сокращенное_наименование": "short_name",
    "краткое_наименование": "short_name",
    "адрес": "addresses.legal.text",
    "юридический_адрес": "addresses.legal.text",
    "фактический_адрес": "addresses.factual.text",
    "почтовый_адрес": "addresses.mailing.text",
}
"""Names that columns have in French and Russian tables."""

_YES = frozenset(("1", "true", "yes", "y", "oui", "да"))
_NO = frozenset(("0", "false", "no", "n", "non", "нет"))
_DAY = re.compile(r"(\d\d)[./-](\d\d)[./-](\d{4})")


def field_of(column: str) -> str | None:
    """The field that a column of this name is; None: one that is not taken."""
    plain = unicodedata.normalize("NFC", column).strip().casefold().replace("ё", "е")
    name = re.sub(r"[\s-]+", "_", plain)
    return _OTHER_NAMES.get(name) or TARGETS.get(name)


def fields_of(header: Sequence[str], mapping: Mapping[str, str] | None) -> dict[int, str]:
    """By column, from 0. A mapping counts for the columns it names; the others are known by their names."""
    found: dict[int, str] = {}
    for at, column in enumerate(header):
        said = None if mapping is None else mapping.get(column.strip())
        field = field_of(column) if said is None else TARGETS[said]
        if field is not None:
            found[at] = field
    return found


def body_of(fields: Mapping[int, str], cells: Sequence[str]) -> dict[str, Any]:
    """A row as the body of POST or PATCH /organisations, not judged yet; an empty cell says nothing."""
    flat = {field: text for at, field in fields.items() if (text := cells[at].strip())}
    if (siret := flat.pop(SIRET, None)) is not None:
        digits = siret.replace(" ", "")
        flat.setdefault("identifiers.siren", digits[:9])
        flat.setdefault("identifiers.nic", digits[9:])
    if (street := flat.pop(STREET, None)) is not None:
        parts = (flat.get("addresses.legal.postal_code"), flat.get("addresses.legal.locality"))
        place = " ".join(part for part in parts if part)
        flat.setdefault("addresses.legal.text", ", ".join(part for part in (street, place) if part))
    body: dict[str, Any] = {}
    for path, text in flat.items():
        *outer, name = path.split(".")
        inner = body
        for each in outer:
            inner = inner.setdefault(each, {})
        inner[name] = _value(name, text)
    return body


def _value(name: str, text: str) -> Any:
    """What is neither yes nor no stays what it is: whoever judges the body will say so."""
    if name.startswith("is_"):
        return text.casefold() in _YES if text.casefold() in _YES | _NO else text
    if name == "started_on" and (day := _DAY.fullmatch(text)) is not None:
        return f"{day[3]}-{day[2]}-{day[1]}"
    return text
