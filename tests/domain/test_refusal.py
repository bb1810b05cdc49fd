"""A record of refusals: every one is kept, and it decides nothing."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from application.refusal import anonymous
from domain.refusal.aggregate import REFUSAL
from domain.refusal.commands import CountRefusals, NoteRefusal
from domain.refusal.events import RefusalNoted, RefusalsCounted
from tests.scenario import given

NOW = datetime(2026, 5, 3, 23, 59, 59, tzinfo=UTC)
SOON = NOW + timedelta(seconds=1)
SOMEBODY = UUID(int=7)
TOLD = {
    "at": NOW,
    "code": "forbidden",
    "method": "GET",
    "route": "/api/v1/audit/entries",
    "required": "audit:view",
}


def test_a_refusal_is_noted_however_many_there_were():
    note, noted = NoteRefusal(**TOLD, user_id=SOMEBODY), RefusalNoted(**TOLD, user_id=SOMEBODY)
    given(REFUSAL).when(note).then(noted)
    given(REFUSAL, noted, noted).when(note).then(noted)


def test_many_are_counted_by_their_code():
    counts = {"auth.invalid_credentials": 412, "forbidden": 3}
    counted = RefusalsCounted(since=NOW, until=SOON, counts=counts)
    given(REFUSAL).when(CountRefusals(since=NOW, until=SOON, counts=counts)).then(counted)


def test_none_are_not_counted():
    given(REFUSAL).when(CountRefusals(since=NOW, until=SOON, counts={})).then()


def test_nobody_is_somebody_for_a_day():
    assert anonymous(NOW) == anonymous(NOW - timedelta(hours=23))
    assert anonymous(NOW).id != anonymous(SOON).id
    assert anonymous(NOW).kind == "anonymous"
