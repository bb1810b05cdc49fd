"""Occasions as an iCalendar stream (RFC 5545), for calendars that subscribe to it."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from projections.occasion import Occasion

FOLD = 75
"""Octets a line may have, its end not counted (RFC 5545 3.1)."""
_HEAD = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Chancery//Occasions//EN
CALSCALE:GREGORIAN
METHOD:PUBLISH
NAME:Occasions
X-WR-CALNAME:Occasions
REFRESH-INTERVAL;VALUE=DURATION:PT1H
BEGIN:VTIMEZONE
TZID:Etc/UTC
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0000
TZOFFSETTO:+0000
END:STANDARD
END:VTIMEZONE"""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def calendar(occasions: Iterable[Occasion], url: str) -> bytes:
    """The stream; `url` is where the occasions are. All times are in UTC, so no zone's rules are needed to read them.

    The zone stands there because a calendar without a component is none.
    """
    lines = [*_HEAD.split("\n")]
    for occasion in occasions:
        lines += _event(occasion, url)
    lines.append("END:VCALENDAR")
    return b"".join(folded(line) for line in lines)


def _event(occasion: Occasion, url: str) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{occasion.id}"
    yield f"DTSTAMP:{_utc(occasion.updated_at)}"
    yield f"CREATED:{_utc(occasion.created_at)}"
    yield f"LAST-MODIFIED:{_utc(occasion.updated_at)}"
    yield f"SEQUENCE:{occasion.sequence}"
    yield f"STATUS:{'CANCELLED' if occasion.archived else 'CONFIRMED'}"
    yield f"DTSTART:{_utc(occasion.starts_at)}"
    yield f"DTEND:{_utc(_whole_second(occasion.ends_at))}"
    yield f"SUMMARY:{escaped(occasion.title)}"
    if occasion.place is not None:
        yield f"LOCATION:{escaped(occasion.place)}"
    attendees = None if occasion.attendees is None else f"Attendees: {occasion.attendees}"
    if description := "\n\n".join(text for text in (attendees, occasion.notes) if text is not None):
        yield f"DESCRIPTION:{escaped(description)}"
    yield f"URL:{url}/{occasion.id}"
    yield "END:VEVENT"


def escaped(text: str) -> str:
    """As a value of the type TEXT (RFC 5545 3.3.11); control characters, which it cannot have, are left out."""
    for character in "\\;,":
        text = text.replace(character, f"\\{character}")
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).replace("\n", "\\n")


def folded(line: str) -> bytes:
    """With its end, and cut between characters where it has more than 75 octets (RFC 5545 3.1)."""
    pieces, piece = list[bytes](), b""
    for character in line:
        octets = character.encode()
        if len(piece) + len(octets) > FOLD:
            pieces.append(piece)
            piece = b" "
        piece += octets
    return b"\r\n".join([*pieces, piece]) + b"\r\n"


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _whole_second(end: datetime) -> datetime:
    """Not before the end: what lasts half a second must not end when it begins."""
    return end if end.microsecond == 0 else end.replace(microsecond=0) + timedelta(seconds=1)
