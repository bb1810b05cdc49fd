"""What a number is, as it is written and as it is claimed."""

import pytest

from domain.number import Number, number_of, prefix


def test_a_number_is_written_with_its_series_its_year_and_enough_digits():
    assert Number("F", 2026, 17).written(6) == "F-2026-000017"
    assert Number("IN", 2026, 42).written(5) == "IN-2026-00042"
    assert Number("F", 2026, 1_000_000).written(6) == "F-2026-1000000"


def test_what_is_written_is_read_again():
    for text in ("F-2026-000017", "AV-2026-1000000"):
        found = number_of(text)
        assert found is not None
        assert found.written(6) == text


@pytest.mark.parametrize(
    "text", ["", "F", "F-26-1", "f-2026-000001", "F/2026/1", "F-2026-", "F-2026-1 ", "F-2026-1\n"]
)
def test_anything_else_is_none(text):
    assert number_of(text) is None


def test_claims_of_a_series_and_year_sort_by_their_counter():
    counters = [1, 9, 10, 99_999, 100_000, 1_000_000]
    claims = [Number("F", 2026, counter).claim for counter in counters]
    assert sorted(claims) == claims
    assert all(claim.startswith(prefix("F", 2026)) for claim in claims)
