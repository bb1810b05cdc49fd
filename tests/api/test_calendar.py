"""iCalendar to the letter of RFC 5545: escaped, folded between characters, times in UTC."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from api.calendar import FOLD, calendar, escaped, folded
from projections.occasion import Occasion

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def occasion(**fields):
    common = dict(
        id=UUID(int=1),
        version=3,
        position=7,
        state="planned",
        created_at=NOON,
        updated_at=NOON,
        contract_id=UUID(int=2),
        organisation_id=UUID(int=3),
        title="Fair",
        starts_at=NOON,
        ends_at=NOON + timedelta(hours=1),
        place=None,
        attendees=None,
        notes=None,
        added_by=UUID(int=4),
    )
    return Occasion(**{**common, **fields})


def unfolded(body: bytes) -> list[str]:
    return body.replace(b"\r\n ", b"").decode().split("\r\n")


def test_without_an_occasion_it_is_still_a_calendar():
    lines = unfolded(calendar([], "https://office.example"))
    assert (lines[0], lines[-2]) == ("BEGIN:VCALENDAR", "END:VCALENDAR")
    assert "BEGIN:VTIMEZONE" in lines


def test_text_is_escaped_and_has_no_control_characters():
    assert escaped("a\\b;c,d\ne\r\nf\rg\x00\x07\th") == "a\\\\b\\;c\\,d\\ne\\nf\\ng\th"


def test_a_value_cannot_end_its_line_and_begin_another():
    lines = unfolded(calendar([occasion(title="x\r\nATTENDEE:mailto:eve@example.org")], "https://o"))
    assert [each for each in lines if each.startswith("ATTENDEE")] == []
    assert r"SUMMARY:x\nATTENDEE:mailto:eve@example.org" in lines


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")))
def test_no_line_is_longer_than_75_octets_and_unfolded_it_is_what_it_was(text):
    lines = folded(text)
    assert lines.endswith(b"\r\n")
    assert all(len(line) <= FOLD for line in lines[:-2].split(b"\r\n"))
    assert lines[:-2].replace(b"\r\n ", b"").decode() == text
    assert all(line.decode() is not None for line in lines[:-2].split(b"\r\n"))


def test_times_are_in_utc_whatever_zone_they_came_in():
    there = timezone(timedelta(hours=5, minutes=30))
    lines = unfolded(calendar([occasion(starts_at=NOON.astimezone(there))], "https://o"))
    assert "DTSTART:20260601T120000Z" in lines


def test_what_lasts_half_a_second_ends_after_it_begins():
    half = occasion(ends_at=NOON + timedelta(seconds=0.5))
    assert "DTEND:20260601T120001Z" in unfolded(calendar([half], "https://o"))


def test_how_many_are_expected_stands_before_the_notes():
    lines = unfolded(calendar([occasion(attendees=75, notes="Chairs")], "https://o"))
    assert r"DESCRIPTION:Attendees: 75\n\nChairs" in lines
    assert "URL:https://o/00000000-0000-0000-0000-000000000001" in lines
