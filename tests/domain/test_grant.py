"""A right's three questions for each command: what follows, who is refused, and when nothing changes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from domain.grant.aggregate import GRANT, GrantInvalid, GrantToOneself, GrantUnknown, Held
from domain.grant.commands import GiveGrant, LapseGrant, RevokeGrant
from domain.grant.events import (
    Grant,
    GrantChanged,
    GrantExpired,
    GrantGiven,
    GrantRevoked,
    Subject,
)
from domain.grant.guards import STANDING, guards, standing
from domain.shared import Claim, RightGone, RightHeld
from tests.scenario import given

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
TICK = timedelta(milliseconds=1)
ANNA, BORIS = UUID(int=1), UUID(int=2)
RIGHT = {
    "subject": Subject(type="user", id=ANNA),
    "scope_type": "global",
    "scope_id": "*",
    "module": "contract",
    "action": "sign",
}
GIVEN = GrantGiven(**RIGHT)
LIMITED = GrantGiven(**RIGHT, expires_at=NOW)
REVOKED = GrantRevoked(reason="left the project")
REVOKE = RevokeGrant(now=NOW, reason="left the project")


def give(now=NOW, by=BORIS, **terms):
    return GiveGrant(now=now, by=by, grant=Grant(**RIGHT, **terms))


def test_a_right_is_given_on_its_terms():
    terms = {"not_before": NOW, "expires_at": NOW + TICK, "grantable": True, "reason": "holidays"}
    given(GRANT).when(give(**terms)).then(GrantGiven(**RIGHT, **terms))


def test_nobody_gives_himself_a_right():
    given(GRANT).when(give(by=ANNA)).then_refused(GrantToOneself)
    given(GRANT, GIVEN).when(give(by=ANNA)).then_refused(GrantToOneself)


@pytest.mark.parametrize("expires_at", [NOW, NOW - TICK])
def test_what_has_ended_is_not_given(expires_at):
    refusal = given(GRANT).when(give(expires_at=expires_at)).then_refused(GrantInvalid)
    assert [(error.pointer, error.code) for error in refusal.errors] == [("/expires_at", "past")]


def test_it_ends_after_it_begins():
    soon = NOW + TICK
    refusal = given(GRANT).when(give(not_before=soon, expires_at=soon)).then_refused(GrantInvalid)
    assert [(error.pointer, error.code) for error in refusal.errors] == [("/expires_at", "order")]


def test_the_same_terms_again_change_nothing():
    given(GRANT, GIVEN).when(give()).then_nothing()


@pytest.mark.parametrize(
    "terms",
    [
        {"not_before": NOW},
        {"expires_at": NOW + TICK},
        {"grantable": True},
        {"reason": "holidays"},
    ],
)
def test_other_terms_change_it_and_are_told_whole(terms):
    state = given(GRANT, GIVEN).when(give(**terms)).then(GrantChanged(**RIGHT, **terms))
    assert state == Held(grant=Grant(**RIGHT, **terms))


@pytest.mark.parametrize("before", [(GIVEN, REVOKED), (LIMITED, GrantExpired(expired_at=NOW)), (LIMITED,)])
def test_what_is_gone_is_given_again_swept_or_not(before):
    given(GRANT, *before).when(give()).then(GIVEN)


def test_a_tick_before_its_end_it_is_only_changed():
    given(GRANT, LIMITED).when(give(now=NOW - TICK)).then(GrantChanged(**RIGHT))


def test_a_right_is_revoked_with_its_reason():
    given(GRANT, GIVEN).when(REVOKE).then(REVOKED)


@pytest.mark.parametrize("before", [(GIVEN, REVOKED), (LIMITED, GrantExpired(expired_at=NOW)), (LIMITED,)])
def test_what_is_gone_is_not_revoked(before):
    given(GRANT, *before).when(REVOKE).then_nothing()


def test_a_lapse_is_told_once_and_not_before_its_time():
    told = GrantExpired(expired_at=NOW)
    given(GRANT, LIMITED).when(LapseGrant(now=NOW)).then(told)
    given(GRANT, LIMITED, told).when(LapseGrant(now=NOW)).then_nothing()
    given(GRANT, LIMITED).when(LapseGrant(now=NOW - TICK)).then_nothing()
    given(GRANT, GIVEN).when(LapseGrant(now=NOW)).then_nothing()


@pytest.mark.parametrize("command", [REVOKE, LapseGrant(now=NOW)])
def test_what_was_never_given_is_unknown(command):
    given(GRANT).when(command).then_refused(GrantUnknown)


def test_one_right_is_one_stream_whatever_its_terms():
    one, other = Grant(**RIGHT), Grant(**RIGHT, grantable=True, reason="x")
    assert one.stream_id == other.stream_id
    changed = [
        {"subject": Subject(type="department", id=ANNA)},
        {"subject": Subject(type="user", id=BORIS)},
        {"scope_type": "own"},
        {"scope_id": str(ANNA)},
        {"module": "file"},
        {"action": "view"},
    ]
    others = {msgspec.structs.replace(one, **field).stream_id for field in changed}
    assert len(others | {one.stream_id}) == len(changed) + 1


def test_what_is_held_follows_from_each_event_alone():
    stream = Grant(**RIGHT).stream_id
    held, claim = guards(stream, GrantChanged(**RIGHT, grantable=True))
    assert held == RightHeld(
        subject_kind="user",
        subject_id=ANNA,
        scope_type="global",
        scope_id="*",
        module="contract",
        action="sign",
        grantable=True,
    )
    assert claim == Claim(kind=STANDING, values=(standing(stream, None, None, grantable=True),))
    for gone in (REVOKED, GrantExpired(expired_at=NOW)):
        assert guards(stream, gone) == (RightGone(), Claim(kind=STANDING, values=()))
