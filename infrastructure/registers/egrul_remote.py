"""The register of Russian legal entities at a service in egrul_fts_api's shape (seed D2)."""

import asyncio
import re
from datetime import date
from typing import Annotated

from msgspec import Meta, Struct, structs
from msgspec.json import Decoder

from application.lookup import PAGE_SIZE, Entries, Entry, Name, Number, Place, Sought
from infrastructure.page_number import page_number, token_of
from infrastructure.registers.egrul_address import NOWHERE
from infrastructure.registers.outside_calls import OutsideService
from infrastructure.registers.outside_lookup import asked, tidy

DETAILED = 5
"""So few found entries are asked for one by one, too: only so does the service tell address and OGRN."""
PATH = "/api/organizations/"

_REF = re.compile("id-([0-9]{1,18})")

_FullName = Annotated[str, Meta(pattern=r"\S", max_length=1_000)]
_Text = Annotated[str, Meta(max_length=2_000)]
_Inn = Annotated[str, Meta(pattern=r"^(|[0-9]{10}|[0-9]{12})(?![\s\S])")]
_Kpp = Annotated[str, Meta(pattern=r"^(|[0-9]{4}[0-9A-Z]{2}[0-9]{3})(?![\s\S])")]
_Ogrn = Annotated[str, Meta(pattern=r"^(|[0-9]{13}|[0-9]{15})(?![\s\S])")]
_Region = Annotated[str, Meta(max_length=3)]
_Address = Annotated[str, Meta(pattern=r"^[^?#]{0,200}/[0-9]{1,18}/?(?![\s\S])")]


class _Row(Struct, kw_only=True):
    full_name: _FullName
    short_name: _Text | None = None
    inn: _Inn | None = None
    kpp: _Kpp | None = None
    relative_addr: _Address


class _Page(Struct, kw_only=True):
    next: str | None = None
    date_info: str | None = None
    results: list[_Row]


class _Detail(Struct, kw_only=True):
    full_name: _FullName
    short_name: _Text | None = None
    inn: _Inn | None = None
    kpp: _Kpp | None = None
    ogrn: _Ogrn | None = None
    factual_address: _Text | None = None
    region_code: _Region | None = None


_FOUND: Decoder[_Page | list[_Row]] = Decoder(_Page | list[_Row])
_DETAIL = Decoder(_Detail)


class EgrulRemote:
    """Implements application.lookup.Egrul. Nothing found comes as a bare `[]`."""

    def __init__(self, service: OutsideService) -> None:
        self._service = service

    async def is_there(self) -> bool:
        return True

    async def search(self, what: Sought, page_token: str | None) -> Entries:
        number = page_number(page_token, what)
        match what:
            case Number():
                path, params = PATH, dict[str, str]({what.kind: what.digits})
            case Name():
                path, params = f"{PATH}fts-search/", {"q": what.text}
        if number > 1:
            params["page"] = str(number)
        with asked("The Russian register"):
            found = await self._service.get(path, params, _FOUND)
        page = found if isinstance(found, _Page) else _Page(results=found or [])
        entries = [_entry(row) for row in page.results[:PAGE_SIZE]]
        if len(entries) <= DETAILED:
            entries = list(await asyncio.gather(*map(self._detailed, entries)))
        return Entries(
            data=entries,
            source="remote",
            valid_as_of=_day(page.date_info),
            has_more=page.next is not None,
            next_page_token=None if page.next is None else token_of(number + 1, what),
        )

    async def entry(self, ref: str) -> Entry | None:
        if (named := _REF.fullmatch(ref)) is None:
            return None
        with asked("The Russian register"):
            detail = await self._service.get(f"{PATH}{named[1]}/", {}, _DETAIL)
        return None if detail is None else _of_detail(ref, detail)

    async def _detailed(self, entry: Entry) -> Entry:
        """As it is when the service has just gone: what was found is still worth showing."""
        found = await self._service.try_get(f"{PATH}{entry.ref.removeprefix('id-')}/", {}, _DETAIL)
        return (
            entry if found is None else structs.replace(_of_detail(entry.ref, found), is_main=entry.is_main)
        )


def _entry(row: _Row) -> Entry:
    return Entry(
        ref=f"id-{row.relative_addr.rstrip('/').rpartition('/')[2]}",
        full_name=tidy(row.full_name) or "",
        short_name=tidy(row.short_name),
        inn=row.inn or None,
        kpp=row.kpp or None,
    )


def _of_detail(ref: str, detail: _Detail) -> Entry:
    place = tidy(detail.factual_address)
    return Entry(
        ref=ref,
        full_name=tidy(detail.full_name) or "",
        short_name=tidy(detail.short_name),
        inn=detail.inn or None,
        kpp=detail.kpp or None,
        ogrn=detail.ogrn or None,
        address=None if place is None or place == NOWHERE.text else Place(text=place, country="RU"),
        region_code=tidy(detail.region_code),
    )


def _day(said: str | None) -> date | None:
    try:
        return date.fromisoformat(said or "")
    except ValueError:
        return None
