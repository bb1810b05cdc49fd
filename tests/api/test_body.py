"""The one decoder takes strict JSON only, brings text into normal form and names every wrong field."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Struct, json

from api.body import MediaTypeUnsupported, require_json
from api.fields import Body, Nothing
from api.problems import BodyTooLarge
from api.reader import DEEPEST, LARGEST, MOST_ERRORS, BodyInvalid, BodyMalformed, Reader
from api.shape import structs_within, verbatim_fields
from tests.api.tiny import AddHouse, Door

READER: Reader[AddHouse] = Reader(AddHouse)
ANYTHING: Reader[dict[str, object]] = Reader(dict[str, object])


def refused(body: bytes, reader: Reader[object] = READER) -> dict[str, str]:
    with pytest.raises(BodyInvalid) as caught:
        reader.read(body)
    return {one.pointer: one.code for one in caught.value.errors}


def test_text_is_trimmed_and_composed():
    house = READER.read('{"name":"  Cafe\u0301 ","words":[" a "],"front":{"colour":"\u00a0red\\n"}}'.encode())
    assert (house.name, house.words, house.front) == ("Caf\u00e9", ("a",), Door(colour="red"))


def test_a_password_is_taken_as_typed():
    assert READER.read('{"name":"x","password":" e\u0301 "}'.encode()).password == " e\u0301 "
    assert verbatim_fields(AddHouse) == {"password"}


def test_absent_null_and_empty_are_three_things():
    assert READER.read(b'{"name":"x"}').title is UNSET
    assert READER.read(b'{"name":"x","title":null}').title is None
    assert refused(b'{"name":"x","title":" "}') == {"/title": "empty"}


def test_every_wrong_field_is_named_at_once():
    body = b"""{"nam": 1, "title": 5, "rooms": -1, "built_at": "2026-01-01T00:00:00", "front": {"color": "red"},
        "doors": [{"colour": "red"}, {}, 7], "price": {"amount": "1,5", "currency": "eur"}, "labels": {"a/b~": ""}}"""
    assert refused(body) == {
        "/nam": "unknown_field",
        "/name": "missing",
        "/title": "wrong_type",
        "/rooms": "too_small",
        "/built_at": "no_time_zone",
        "/front/color": "unknown_field",
        "/front/colour": "missing",
        "/doors/1/colour": "missing",
        "/doors/2": "wrong_type",
        "/price/amount": "wrong_format",
        "/price/currency": "wrong_format",
        "/labels/a~1b~0": "empty",
    }


def test_a_near_miss_gets_a_suggestion():
    with pytest.raises(BodyInvalid) as caught:
        READER.read(b'{"name":"x","room":2}')
    assert caught.value.errors[0].detail == "There is no such field here. Did you mean `rooms`?"


def test_what_the_caller_sent_is_not_repeated():
    with pytest.raises(BodyInvalid) as caught:
        READER.read(b'{"name":"x","rooms":"hunter2","built_at":"hunter2","price":{"amount":"hunter2"}}')
    assert "hunter2" not in repr(caught.value.errors)


def test_nothing_is_converted_laxly():
    for value in (b'"12"', b"12.0", b"true", b"null"):
        assert refused(b'{"name":"x","rooms":%b}' % value) == {"/rooms": "wrong_type"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"name":"x"} x',
        b"\xef\xbb\xbf{}",
        b'{"name":"\xff"}',
        b'{"name":"\x00"}',
        b'{"name":"\\u0000"}',
        b'{"na\\u0000me":"x"}',
        b'{"name":"\\ud800"}',
        b'{"name":"x","name":"y"}',
        b'{"name":"x","front":{"colour":"a","colour":"b"}}',
        b'{"rooms":NaN}',
        b'{"rooms":-Infinity}',
        b'{"rooms":1e999}',
        b'{"rooms":' + b"1" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda body: repr(body[:24]),
)
def test_what_is_no_json_of_ours_is_malformed(body: bytes):
    with pytest.raises(BodyMalformed):
        READER.read(body)


def test_depth_is_counted_outside_of_strings():
    assert READER.read(b'{"name":"' + b"{[" * 60 + b'"}').name == "{[" * 60
    assert READER.read(b'{"name":"\\"' + b"[" * 60 + b'"}').name == '"' + "[" * 60


@settings(deadline=None)
@given(st.integers(1, 2 * DEEPEST), st.booleans())
def test_exactly_32_levels_are_allowed(depth: int, wide: bool):  # noqa: FBT001
    inner = b"[" * (depth - 1) + b"]" * (depth - 1)
    body = b'{"a":[],"b":[],' * wide + b"{" * (not wide) + b'"x":' + (inner or b"1") + b"}"
    if depth <= DEEPEST:
        ANYTHING.read(body)
    else:
        with pytest.raises(BodyMalformed):
            ANYTHING.read(body)


NESTED = st.recursive(st.none() | st.booleans() | st.text(max_size=8), st.lists, max_leaves=6)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=4), NESTED, max_size=4))
def test_any_readable_object_comes_out_trimmed(tree: dict[str, object]):
    try:
        body = json.encode(tree)
        read = ANYTHING.read(body)
    except (BodyMalformed, UnicodeEncodeError):
        return
    assert ANYTHING.read(json.encode(read)) == read


def test_a_backslash_before_u0000_is_text():
    assert READER.read(b'{"name":"\\\\u0000"}').name == "\\u0000"


def test_errors_are_counted_out():
    body = b"{" + b",".join(b'"k%d":1' % number for number in range(5_000)) + b"}"
    assert len(refused(body)) == MOST_ERRORS


def test_a_body_has_one_mebibyte():
    with pytest.raises(BodyTooLarge):
        READER.read(b" " * (LARGEST + 1))


@pytest.mark.parametrize(
    "given_type", [b"application/json", b"Application/JSON; charset=UTF-8", b"application/json;"]
)
def test_json_may_say_so_in_many_ways(given_type: bytes):
    require_json({b"content-type": given_type})


@pytest.mark.parametrize(
    "given_type",
    [
        b"",
        b"text/plain",
        b"application/x-www-form-urlencoded",
        b"application/jsonp",
        b"application/json; charset=latin-1",
    ],
)
def test_anything_else_is_no_json(given_type: bytes):
    with pytest.raises(MediaTypeUnsupported):
        require_json({b"content-type": given_type})


def test_a_compressed_body_is_not_taken():
    with pytest.raises(MediaTypeUnsupported):
        require_json({b"content-type": b"application/json", b"content-encoding": b"gzip"})


def test_a_tagged_union_is_judged_by_its_tag():
    class Cat(Body, frozen=True, kw_only=True, tag="cat"):
        lives: int

    class Dog(Body, frozen=True, kw_only=True, tag="dog"):
        tricks: int

    class Pet(Body, frozen=True, kw_only=True):
        pet: Cat | Dog

    assert refused(b'{"pet":{"type":"dog","lives":9}}', Reader(Pet)) == {
        "/pet/lives": "unknown_field",
        "/pet/tricks": "missing",
    }


def test_every_struct_inside_a_body_is_found():
    class Loose(Struct):
        x: int

    class Holder(Body, frozen=True, kw_only=True):
        inside: dict[str, list[Loose | None]] = {}  # noqa: RUF012 - msgspec copies it
        nothing: Nothing | None = None

    assert structs_within(Holder) == [Holder, Loose, Nothing]
