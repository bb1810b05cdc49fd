"""The register's XML: what is read of it, and the files that are refused before they do harm."""

import io
import tracemalloc
from datetime import date

import pytest

from infrastructure.registers.egrul_file import EgrulFile, EgrulFileRefused
from tests.egrul import GONE, branch, entity, fias, kladr, register


def read(content):
    return list(EgrulFile("given.xml", io.BytesIO(content)))


def main(**said):
    (found,) = read(register(entity(**said)))
    return found.registered[0]


def refused(content):
    with pytest.raises(EgrulFileRefused) as caught:
        read(content)
    return str(caught.value)


def test_an_entity_is_read_with_its_numbers_names_and_place():
    (found,) = read(register(entity(name='ОБЩЕСТВО "РОМАШКА"', short='ООО "РОМАШКА"')))
    assert (found.ogrn, found.inn, found.made_on, found.problem) == (
        "1020200000001",
        "0265000001",
        date(2024, 1, 10),
        None,
    )
    (only,) = found.registered
    assert (only.kpp, only.full_name, only.short_name, only.is_main) == (
        "026501001",
        'ОБЩЕСТВО "РОМАШКА"',
        'ООО "РОМАШКА"',
        True,
    )


def test_the_newer_address_register_is_preferred():
    place = main(address=kladr() + fias()).place
    assert place.text == "ПР-КТ ЛЕНИНА, Д. 1А, ОФИС 5, Г. ОКТЯБРЬСКИЙ, РЕСПУБЛИКА БАШКОРТОСТАН, 452613"
    assert (place.region_code, place.postal_code) == ("02", "452613")


def test_the_older_one_is_read_where_it_stands_alone_and_dashes_say_nothing():
    place = main(address=kladr()).place
    assert place.text == (
        "УЛ. ОКЕАНСКАЯ, Д. 11, КВ.2, ПГТ. ЮЖНО-КУРИЛЬСК, Р-Н ЮЖНО-КУРИЛЬСКИЙ, ОБЛАСТЬ САХАЛИНСКАЯ, 694500"
    )
    assert place.region_code == "65"


def test_no_place_is_said_as_such():
    place = main(address="").place
    assert (place.text, place.region_code, place.postal_code) == ("НЕ УКАЗАН", "00", None)


def test_a_founders_address_is_not_the_entitys():
    assert "101000" not in main(address="").place.text


@pytest.mark.parametrize(("short", "kept"), [("АО А", None), ("АО АБ", "АО АБ"), ("", None)])
def test_a_short_name_is_kept_if_longer_than_four(short, kept):
    assert main(short=short).short_name == kept


def test_format_405_has_the_short_name_as_an_attribute():
    assert main(short_in_names="АО РОМАШКА").short_name == "АО РОМАШКА"


def test_branches_take_the_parents_numbers_and_need_a_kpp_of_their_own():
    (found,) = read(
        register(
            entity(
                name="АО ЗАВОД",
                branches=branch("026543001", "ФИЛИАЛ НА САХАЛИНЕ", kladr("АдрМНРФ"))
                + branch("026543002", None, kladr("АдрМНРФ") + fias("АдрМНФИАС"))
                + branch("026543003", "БЕЗ АДРЕСА")
                + branch(None, "БЕЗ КПП"),
            )
        )
    )
    first, second, third = found.registered[1:]
    assert [each.kpp for each in (first, second, third)] == ["026543001", "026543002", "026543003"]
    assert (first.full_name, first.place.region_code) == ("ФИЛИАЛ НА САХАЛИНЕ", "65")
    assert (second.full_name, second.place.region_code) == ("АО ЗАВОД. ФИЛИАЛ", "02")
    assert (third.place.text, third.place.region_code) == ("НЕ УКАЗАН", "00")
    assert not any(each.is_main or each.short_name for each in (first, second, third))


def test_who_exists_no_more_is_named_and_nothing_else():
    (found,) = read(register(entity(more=GONE, branches=branch("026543001"))))
    assert (found.ogrn, found.registered, found.problem) == ("1020200000001", (), None)


@pytest.mark.parametrize("ogrn", ["", "12345", "١٠٢٠٢٠٠٠٠٠٠٠١", "10202000000012"])
def test_an_entity_without_a_right_ogrn_is_a_problem_and_the_others_are_read(ogrn):
    text = register(entity(ogrn=ogrn), entity(ogrn="1020200000002"), encoding="utf-8")
    first, second = read(text)
    assert first.problem == "its OGRN has not 13 digits"
    assert second.registered


def test_wrong_numbers_are_left_out_and_names_are_cut_at_what_the_format_allows():
    found = main(kpp="12", name="А" * 3000)
    assert (found.kpp, len(found.full_name)) == (None, 1000)


@pytest.mark.parametrize("encoding", ["windows-1251", "utf-8", "utf-16", "koi8-r"])
def test_a_file_is_read_in_the_encoding_it_names(encoding):
    file = EgrulFile("given.xml", io.BytesIO(register(entity(), encoding=encoding)))
    (found,) = file
    assert found.registered[0].full_name == 'ООО "РОМАШКА"'
    assert (file.encoding, file.valid_as_of) == (encoding, date(2024, 1, 15))


def test_combining_and_right_to_left_characters_in_names_are_kept():
    name = "ОО\u0301О \u202eשלום\u202c Й"
    (found,) = read(register(entity(name=name), encoding="utf-8"))
    assert found.registered[0].full_name == name


# --- files that are refused -------------------------------------------------------------------------------------

BOMB = '<!DOCTYPE EGRUL [<!ENTITY a "ааааааааааааааааааааааааааааааааааааааааааа">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
)


def test_a_billion_laughs_are_not_laughed():
    bomb = register(entity(name="РОМАШКА").replace("РОМАШКА", "&j;"), before=f"{BOMB}]>\n")
    tracemalloc.start()
    assert "document type" in refused(bomb)
    assert tracemalloc.get_traced_memory()[1] < 5 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE EGRUL [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE EGRUL SYSTEM "http://127.0.0.1:1/evil.dtd">',
        '<!DOCTYPE EGRUL [<!ENTITY % x SYSTEM "http://127.0.0.1:1/"> %x;]>',
        "<!DOCTYPE EGRUL>",
    ],
)
def test_entities_from_outside_are_refused_unread(doctype):
    assert "document type" in refused(register(entity(), before=doctype))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no element found"),
        (register(entity(), entity())[:-900], "given.xml: line"),
        (register(entity(), encoding="utf-8", said="windows-1251")[:40], "unclosed token"),
        (register(entity()).replace(b"windows-1251", b"utf-8"), "utf-8"),
        (register(entity()).replace(b"windows-1251", b"klingon"), "klingon"),
        (b"PK\x03\x04 a zip by another name", "not well-formed"),
        (register(entity(name="X").replace("X", "&undefined;")), "undefined entity"),
        ("﻿ИНН;КПП\n1;2\n".encode(), "not well-formed"),
    ],
    ids=[
        "empty",
        "truncated",
        "cut in its head",
        "wrong encoding",
        "unknown encoding",
        "zip",
        "entity",
        "csv",
    ],
)
def test_a_file_that_is_not_what_it_should_be_says_what_and_where(content, why):
    assert why in refused(content)


def test_utf_8_that_calls_itself_windows_1251_is_refused_with_the_encoding_it_names():
    assert "windows-1251" in refused(register(entity(), encoding="utf-8", said="windows-1251"))


class Endless:
    """`before`, then the same again and again: as a file that is larger than any memory."""

    def __init__(self, before, again, pieces):
        self._before, self._again, self._left = before.encode(), again.encode(), pieces

    def read(self, size):
        if self._before:
            piece, self._before = self._before, b""
            return piece
        self._left -= 1
        return self._again * (size // len(self._again)) if self._left >= 0 else b""


@pytest.mark.parametrize(
    ("before", "again", "why"),
    [
        ('<EGRUL><СвЮЛ ОГРН="', "1", "larger than a megabyte"),
        ('<EGRUL><СвЮЛ ОГРН="1020200000001"><СвПодразд>', "<СвФилиал/>", "too many elements"),
        ('<EGRUL><СвЮЛ ОГРН="1020200000001">', "<СвФилиал>", "too many elements"),
    ],
    ids=["one tag", "branches", "depth"],
)
def test_what_would_fill_the_memory_is_refused_before_it_does(before, again, why):
    tracemalloc.start()
    with pytest.raises(EgrulFileRefused, match=why):
        list(EgrulFile("huge.xml", Endless(before, again, 1_000)))
    assert tracemalloc.get_traced_memory()[1] < 150 << 20
    tracemalloc.stop()


def test_memory_stays_flat_over_a_large_file():
    one = entity(name="АО РОМАШКА")
    content = io.BytesIO(register(*[one] * 3_000))
    tracemalloc.start()
    count = sum(1 for _ in EgrulFile("large.xml", content))
    assert (count, tracemalloc.get_traced_memory()[1] < 2 << 20) == (3_000, True)
    tracemalloc.stop()
