"""Who may do what: by role, by grant, in which scope, and when."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from application.access import Caller, Resource, Right, may
from domain.shared import Actor

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
TICK = timedelta(milliseconds=1)
ANNA, BORIS, ALPHA, SALES, GRANT = (UUID(int=number) for number in range(1, 6))
RECORD = Resource(
    scopes=frozenset({("organisation", str(ALPHA)), ("department", str(SALES))}),
    responsible_ids=frozenset({ANNA}),
)


def holder(scope=("global", "*"), who=ANNA, action="edit", **window):
    right = Right(
        grant_id=GRANT, scope_type=scope[0], scope_id=scope[1], module="contract", action=action, **window
    )
    return Caller(actor=Actor(kind="user", id=who), role="user", rights=(right,))


def allowed(caller, resource=RECORD, now=NOW):
    authority = may(caller, "contract:edit", resource, now)
    return None if authority is None else authority.allowed_by


@pytest.mark.parametrize(
    "scope", [("global", "*"), ("organisation", str(ALPHA)), ("department", str(SALES)), ("own", "*")]
)
def test_a_right_covers_the_records_of_its_scope(scope):
    assert allowed(holder(scope)) == str(GRANT)


@pytest.mark.parametrize(
    "scope",
    [
        ("organisation", str(SALES)),
        ("department", str(ALPHA)),
        ("organisation", "*"),
        ("global", str(ALPHA)),
        ("site", "tw-main"),
    ],
)
def test_a_right_covers_no_other_record(scope):
    assert allowed(holder(scope)) is None


def test_own_covers_nobody_elses_records():
    assert allowed(holder(("own", "*"), who=BORIS)) is None
    assert allowed(holder(("own", "*")), Resource()) is None


def test_a_right_is_to_one_action():
    assert allowed(holder(action="view")) is None


@pytest.mark.parametrize(("offset", "works"), [(-TICK, True), (0 * TICK, False), (TICK, False)])
def test_a_right_ends_just_before_its_end(offset, works):
    assert (allowed(holder(expires_at=NOW), now=NOW + offset) is not None) is works


@pytest.mark.parametrize(("offset", "works"), [(-TICK, False), (0 * TICK, True), (TICK, True)])
def test_a_right_begins_with_its_beginning(offset, works):
    assert (allowed(holder(not_before=NOW), now=NOW + offset) is not None) is works


def test_an_administrator_holds_everything_and_a_user_nothing_but_his_own():
    assert allowed(Caller(actor=Actor(kind="user", id=BORIS), role="admin")) == "role:admin"
    assert allowed(Caller(actor=Actor(kind="user", id=BORIS), role="user")) is None
