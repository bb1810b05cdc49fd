"""Looking organisations and places up in registers of other people, to spare typing; nothing here is needed to work."""

import asyncio
import re
from collections.abc import Sequence
from datetime import date
from typing import Literal, Protocol

from msgspec import Struct, structs

from application.ports import Claims
from domain.organisation.events import Identifiers
from domain.organisation.guards import pairs

PAGE_SIZE = 20
SHORTEST = 3
"""Characters of a name that are searched for."""

Origin = Literal["local", "remote"]
"""Whose word it is: our own copy of the register, or its service's."""


class LookupUnavailable(Exception):
    """The register cannot be asked now; what it would have filled in can be typed. Come again in `retry_after` s."""

    def __init__(self, detail: str, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.detail, self.retry_after = detail, retry_after


class Place(Struct, frozen=True, kw_only=True):
    """An address as a register gives it. `cedex`: the French delivery code of large receivers of mail."""

    text: str
    postal_code: str | None = None
    locality: str | None = None
    complement: str | None = None
    cedex: str | None = None
    country: str | None = None


class Entry(Struct, frozen=True, kw_only=True):
    """One organisation, or branch of one, in a register. `ref` names it there; `already_added`: it is in ours, too."""

    ref: str
    full_name: str
    short_name: str | None = None
    inn: str | None = None
    kpp: str | None = None
    ogrn: str | None = None
    siren: str | None = None
    nic: str | None = None
    address: Place | None = None
    region_code: str | None = None
    activity_code: str | None = None
    headcount_band: str | None = None
    started_on: date | None = None
    is_main: bool | None = None
    already_added: bool = False


class Entries(Struct, frozen=True, kw_only=True):
    """A page of what was found. `valid_as_of`: the register's own date, where it is known."""

    data: list[Entry]
    source: Origin
    valid_as_of: date | None
    has_more: bool = False
    next_page_token: str | None = None


class Locality(Struct, frozen=True, kw_only=True):
    """A place that a postal code stands for."""

    locality: str
    region: str | None = None
    region_code: str | None = None
    population: int | None = None


class Number(Struct, frozen=True, kw_only=True):
    """A register number, whole."""

    kind: Literal["inn", "kpp", "ogrn"]
    digits: str


class Name(Struct, frozen=True, kw_only=True):
    """Words of a name."""

    text: str


Sought = Number | Name

_KINDS: dict[int, Literal["inn", "kpp", "ogrn"]] = {9: "kpp", 10: "inn", 12: "inn", 13: "ogrn", 15: "ogrn"}
_DIGITS = re.compile("[0-9]+")


def sought(q: str) -> Sought:
    """As many digits as a register number has are one, with or without spaces; everything else is part of a name."""
    bare = "".join(q.split())
    kind = _KINDS.get(len(bare)) if _DIGITS.fullmatch(bare) else None
    return Name(text=" ".join(q.split())) if kind is None else Number(kind=kind, digits=bare)


class Egrul(Protocol):
    """The Russian register of legal entities. All raise LookupUnavailable."""

    async def is_there(self) -> bool:
        """Whether there is a register to look into."""
        ...

    async def search(self, what: Sought, page_token: str | None) -> Entries: ...

    async def entry(self, ref: str) -> Entry | None: ...


class Sirene(Protocol):
    """The French register of companies and their establishments. Raises LookupUnavailable."""

    async def establishments(self, siren: str, nic: str | None) -> tuple[Sequence[Entry], date | None]: ...


class Localities(Protocol):
    """Postal codes of one country. Raises LookupUnavailable."""

    async def of(self, postal_code: str) -> Sequence[Locality]: ...


class Lookups:
    """`egrul`: the first that is there is asked. None: not set up."""

    def __init__(
        self,
        claims: Claims,
        *,
        egrul: Sequence[Egrul],
        sirene: Sirene | None,
        local_sirene: Sirene,
        french_codes: Localities | None,
        russian_codes: Localities | None,
    ) -> None:
        self._claims, self._egrul = claims, egrul
        self._sirene, self._local_sirene = sirene, local_sirene
        self._codes = {5: french_codes, 6: russian_codes}

    async def egrul(self, what: Sought, page_token: str | None = None) -> Entries:
        """Raises LookupUnavailable."""
        found = await (await self._register()).search(what, page_token)
        return structs.replace(found, data=await self._marked(found.data))

    async def siren(self, siren: str, nic: str | None = None) -> Entries:
        """By the service where it answers, else by the file that came with us. Raises LookupUnavailable."""
        found, origin, as_of = await self._establishments(siren, nic)
        return Entries(data=await self._marked(found), source=origin, valid_as_of=as_of)

    async def localities(self, postal_code: str) -> Sequence[Locality]:
        """Five digits are French, six are Russian. Raises LookupUnavailable."""
        codes = self._codes[len(postal_code)]
        if codes is None:
            raise LookupUnavailable("The look-up of these postal codes is not set up here.", retry_after=60)
        return await codes.of(postal_code)

    async def entry(self, source: Literal["egrul", "siren"], ref: str) -> Entry | None:
        """The entry as its register has it now. Raises LookupUnavailable."""
        if source == "siren":
            found, _, _ = await self._establishments(ref[:9], ref[9:])
            return found[0] if found else None
        return await (await self._register()).entry(ref)

    async def _register(self) -> Egrul:
        for register in self._egrul:
            if await register.is_there():
                return register
        raise LookupUnavailable("The Russian register is not set up here.", retry_after=60)

    async def _establishments(
        self, siren: str, nic: str | None
    ) -> tuple[Sequence[Entry], Origin, date | None]:
        away: LookupUnavailable | None = None
        if self._sirene is not None:
            try:
                found, as_of = await self._sirene.establishments(siren, nic)
            except LookupUnavailable as unavailable:
                away = unavailable
            else:
                if found:
                    return found, "remote", as_of
        found, as_of = await self._local_sirene.establishments(siren, nic)
        if not found and away is not None:
            raise away
        return found, "local", as_of

    async def _marked(self, entries: Sequence[Entry]) -> list[Entry]:
        """Which of them the register of organisations has: all are asked for at once, in one statement."""
        added = await asyncio.gather(*map(self._added, entries))
        return [
            structs.replace(each, already_added=is_added)
            for each, is_added in zip(entries, added, strict=True)
        ]

    async def _added(self, entry: Entry) -> bool:
        taken = [(claim.kind, value) for claim in pairs(identifiers(entry)) for value in claim.values]
        owners = await asyncio.gather(*(self._claims.owner(kind, value) for kind, value in taken))
        return any(owner is not None for owner in owners)


def identifiers(entry: Entry) -> Identifiers:
    return Identifiers(inn=entry.inn, kpp=entry.kpp, ogrn=entry.ogrn, siren=entry.siren, nic=entry.nic)
