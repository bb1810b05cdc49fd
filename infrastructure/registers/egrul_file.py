"""Reading the register of Russian legal entities as the Federal Tax Service gives it out: XML, formats 4.05-4.07."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from typing import Protocol
from xml.parsers import expat

from msgspec import Struct

from infrastructure.registers.egrul_address import NOWHERE, Place, of_fias, of_kladr

PIECE = 1 << 16
LONGEST_TAG = 1 << 20
"""Bytes one tag may have; the parser keeps an unfinished one in memory."""
LARGEST_ENTITY = 200_000
"""Elements of one legal entity that we look at."""
TEXT = 1_000
"""Characters of a name, as the format limits them."""

_WANTED = frozenset(
    [
        "СвНаимЮЛ",
        "СвНаимЮЛСокр",
        "СвАдресЮЛ",
        "СвАдрЮЛФИАС",
        "АдресРФ",
        "СвПрекрЮЛ",
        "СвПодразд",
        "СвФилиал",
        "СвНаим",
        "АдрМНФИАС",
        "АдрМНРФ",
        "СвУчетНОФилиал",
        "Регион",
        "НаимРегион",
        "НаселенПункт",
        "ЭлПланСтруктур",
        "ЭлУлДорСети",
        "Здание",
        "ПомещЗдания",
        "ПомещКвартиры",
        "Район",
        "Город",
        "НаселПункт",
        "Улица",
    ]
)
_SPOKEN = frozenset(("Регион", "НаимРегион"))
_OGRN, _INN, _KPP = (re.compile(form) for form in ("[0-9]{13}", "[0-9]{10}", "[0-9]{4}[0-9A-Z]{2}[0-9]{3}"))


class EgrulFileRefused(Exception):
    """This file is not what it should be, and why; nothing of a load that meets one is kept."""


class Registered(Struct, frozen=True, kw_only=True):
    """A legal entity or one of its branches, as it is looked up. `address` as in the register, in capital letters."""

    kpp: str | None
    full_name: str
    short_name: str | None
    place: Place
    is_main: bool


class Extract(Struct, frozen=True, kw_only=True):
    """What a file says of one OGRN: the entity and its branches; nobody, if it exists no more.

    `problem`: why nothing can be made of it.
    """

    ogrn: str
    inn: str | None = None
    made_on: date = date.min
    registered: tuple[Registered, ...] = ()
    problem: str | None = None


class Element(Struct):
    name: str
    attributes: dict[str, str]
    children: list["Element"]
    text: str = ""

    def find(self, *path: str) -> "Element | None":
        found: Element | None = self
        for name in path:
            found = next((child for child in found.children if child.name == name), None) if found else None
        return found

    def all(self, name: str) -> list["Element"]:
        return [child for child in self.children if child.name == name]


class Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class EgrulFile:  # bounded: one document of the file
    """One file, read once and in small pieces. `encoding` and `valid_as_of` are known once reading has begun."""

    def __init__(self, name: str, source: Source) -> None:
        self.name, self._source = name, source
        self.encoding = "utf-8"
        self.valid_as_of: date | None = None
        self.bytes_read = 0
        self._open: list[Element] = []
        self._unwanted = self._elements = 0
        self._done: list[Extract] = []

    def __iter__(self) -> Iterator[Extract]:
        """Raises EgrulFileRefused."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declared
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._said
        last = False
        while not last:
            piece = self._source.read(PIECE)
            last = not piece
            self._parse(parser, piece, last=last)
            self.bytes_read += len(piece)
            if self.bytes_read - parser.CurrentByteIndex > LONGEST_TAG:
                raise self._refused("a single tag is larger than a megabyte")
            yield from self._done
            self._done.clear()

    def _parse(self, parser: "expat.XMLParserType", piece: bytes, *, last: bool) -> None:
        try:
            parser.Parse(piece, last)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise self._refused(
                f"line {error.lineno}: {reason}; the file says it is written in {self.encoding}"
            ) from None
        except (LookupError, ValueError):
            raise self._refused(f"its encoding {self.encoding} is not one we read") from None

    def _refused(self, why: str) -> EgrulFileRefused:
        return EgrulFileRefused(f"{self.name}: {why}")

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        self.encoding = (encoding or "utf-8").lower()

    def _doctype(self, *_: object) -> None:
        raise self._refused("it declares a document type, which no file of the register does")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._unwanted:
            self._unwanted += 1
        elif self._open:
            if name not in _WANTED:
                self._unwanted = 1
                return
            self._elements += 1
            if self._elements > LARGEST_ENTITY:
                raise self._refused("a legal entity has too many elements")
            element = Element(name, attributes, [])
            self._open[-1].children.append(element)
            self._open.append(element)
        elif name == "СвЮЛ":
            self._elements = 0
            self._open.append(Element(name, attributes, []))
        elif (day := attributes.get("ДатаВыг")) is not None:
            self.valid_as_of = _day(day)

    def _end(self, _: str) -> None:
        if self._unwanted:
            self._unwanted -= 1
        elif self._open:
            element = self._open.pop()
            if not self._open:
                self._done.append(extract(element))

    def _said(self, text: str) -> None:
        if self._open and not self._unwanted and (element := self._open[-1]).name in _SPOKEN:
            element.text = (element.text + text)[:TEXT]


def extract(entity: Element) -> Extract:
    """A СвЮЛ as it is looked up."""
    ogrn = entity.attributes.get("ОГРН", "")
    if not _OGRN.fullmatch(ogrn):
        return Extract(ogrn=ogrn[:20], problem="its OGRN has not 13 digits")
    made_on = _day(entity.attributes.get("ДатаВып", "")) or date.min
    if entity.find("СвПрекрЮЛ") is not None:
        return Extract(ogrn=ogrn, made_on=made_on)
    names = entity.find("СвНаимЮЛ")
    full_name = _text(names, "НаимЮЛПолн")
    if names is None or full_name is None:
        return Extract(ogrn=ogrn, problem="it has no name")
    main = Registered(
        kpp=_number(_KPP, entity.attributes.get("КПП")),
        full_name=full_name,
        short_name=_short(_text(names.find("СвНаимЮЛСокр"), "НаимСокр") or _text(names, "НаимЮЛСокр")),
        place=_place(entity.find("СвАдресЮЛ", "СвАдрЮЛФИАС"), entity.find("СвАдресЮЛ", "АдресРФ")),
        is_main=True,
    )
    branches = {
        each.kpp: each
        for part in entity.all("СвПодразд")
        for element in part.all("СвФилиал")
        if (each := _branch(element, full_name)) is not None
    }
    inn = _number(_INN, entity.attributes.get("ИНН"))
    return Extract(ogrn=ogrn, inn=inn, made_on=made_on, registered=(main, *branches.values()))


def _branch(element: Element, parent: str) -> Registered | None:
    """None: without a KPP nobody can tell it from its parent."""
    kpp = _number(_KPP, _text(element.find("СвУчетНОФилиал"), "КПП"))
    if kpp is None:
        return None
    return Registered(
        kpp=kpp,
        full_name=_text(element.find("СвНаим"), "НаимПолн") or f"{parent[: TEXT - 8]}. ФИЛИАЛ",
        short_name=None,
        place=_place(element.find("АдрМНФИАС"), element.find("АдрМНРФ")),
        is_main=False,
    )


def _place(fias: Element | None, kladr: Element | None) -> Place:
    """The newer address register is the better one, where both stand."""
    if fias is not None:
        return of_fias(fias)
    return NOWHERE if kladr is None else of_kladr(kladr)


def _short(name: str | None) -> str | None:
    """What is not longer than a legal form says nothing."""
    return name if name is not None and len(name) > 4 else None


def _text(element: Element | None, attribute: str) -> str | None:
    said = "" if element is None else element.attributes.get(attribute, "")
    return " ".join(unicodedata.normalize("NFC", said).split())[:TEXT] or None


def _number(form: re.Pattern[str], said: str | None) -> str | None:
    return said if said is not None and form.fullmatch(said) else None


def _day(said: str) -> date | None:
    try:
        return date.fromisoformat(said)
    except ValueError:
        return None
