"""Spans: which trace a request is, which are sampled, and that nothing is measured while nobody collects."""

import re

import pytest

from application import spans
from application.spans import Place, Span


@pytest.fixture
def taken():
    """What is collected."""
    found: list[Span] = []
    spans.collect(found.append)
    yield found
    spans.collect(None)


@pytest.mark.parametrize(
    "request_id",
    [
        "0af7651916cd43dd8448eb211c80319c",
        "0AF7651916CD43DD8448EB211C80319C",
        "0af76519-16cd-43dd-8448-eb211c80319c",
    ],
)
def test_a_request_id_of_128_bits_is_the_traces_id(request_id):
    assert spans.trace_of(request_id) == 0x0AF7651916CD43DD8448EB211C80319C


@pytest.mark.parametrize(
    "request_id", ["", "order-7", "0" * 32, "0af76519-16cd43dd-8448-eb211c80319c", "é" * 32]
)
def test_any_other_request_id_is_hashed_to_one_that_is_always_the_same(request_id):
    assert spans.trace_of(request_id) == spans.trace_of(request_id) != 0
    assert spans.trace_of(request_id) < 1 << 128


def test_a_share_of_the_traces_is_sampled_whether_their_ids_are_random_or_uuids():
    spans.collect(lambda _: None, 0.25)
    try:
        ids = [spans.trace_of(f"request {number}") for number in range(4_000)]
        uuids = [each & ~(0xF000 << 64 | 0xC000 << 48) | 0x7000 << 64 | 0x8000 << 48 for each in ids]
        for drawn in (ids, uuids):
            assert 800 < sum(map(spans.sampled, drawn)) < 1_200
    finally:
        spans.collect(None)


@pytest.mark.parametrize(("share", "sampled"), [(0.0, 0), (1.0, 100)])
def test_none_and_all_are_shares_too(share, sampled):
    spans.collect(lambda _: None, share)
    try:
        assert sum(spans.sampled(spans.trace_of(str(number))) for number in range(100)) == sampled
    finally:
        spans.collect(None)


def test_parts_stand_under_what_is_going_on_and_name_what_was_raised_in_them(taken):
    def work():
        with spans.whole("request", 7, 5, "server"):
            with spans.part("load") as load:
                load.attributes["n"] = 1
            with spans.part("decide"):
                raise KeyError("a secret")

    with pytest.raises(KeyError):
        work()
    load, decide, request = taken
    assert [each.name for each in taken] == ["load", "decide", "request"]
    assert {each.trace_id for each in taken} == {7}
    assert load.parent_id == decide.parent_id == request.span_id
    assert (request.parent_id, request.kind) == (5, "server")
    assert decide.attributes == request.attributes == {"error.type": "KeyError"}


def test_what_was_begun_inside_and_outlives_it_is_no_part_of_it(taken):
    with spans.whole("request", 7):
        later = spans.part("later")
        with later:
            pass
    assert spans.part("after").__enter__() is None
    assert [each.name for each in taken] == ["later", "request"]


def test_nothing_is_measured_while_nobody_collects_nor_of_a_trace_that_is_not_sampled():
    with spans.whole("request", 7) as span, spans.part("load") as part:
        assert (span, part, spans.current()) == (None, None, None)
    found: list[Span] = []
    spans.collect(found.append, 0)
    try:
        with spans.whole("request", 7) as span, spans.part("load") as part:
            assert (span, part, spans.current()) == (None, None, None)
    finally:
        spans.collect(None)
    assert found == []


def test_a_place_is_written_and_read_as_a_traceparent():
    place = Place(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331)
    assert str(place) == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert spans.place_of(str(place)) == place
    assert spans.place_of(None) is None
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", str(Place(1, 1)))
