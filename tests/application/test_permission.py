"""The snapshot: everything in force, each once, sorted, and when the clock alone changes it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from application.access import MODERATOR, USER, Right
from application.catalogue import ACTIONS
from application.permission import Held, snapshot

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANNA = UUID(int=1)


def right(action="sign", scope=("global", "*"), **window):
    return Right(
        grant_id=UUID(int=9),
        scope_type=scope[0],
        scope_id=scope[1],
        module="contract",
        action=action,
        **window,
    )


def shown(*rights, role="nobody", now=NOW):
    held = Held(role=role, rights=rights, version=7, position=9, now=now)
    return snapshot(ANNA, held)


def listed(taken):
    return [(each.module, each.action, each.expires_at) for each in taken.permissions]


def test_rights_of_role_and_grants_stand_together_each_once():
    taken = shown(right("sign"), right("sign"), right("view", ("own", "*")), role="user")
    assert [(each.scope_type, each.action) for each in taken.permissions] == [
        ("global", "sign"),
        ("global", "view"),
        ("own", "view"),
    ]
    assert (taken.sub, taken.version, taken.position, taken.next_change_at) == (str(ANNA), 7, 9, None)


@pytest.mark.parametrize(("role", "rights"), [("user", USER), ("moderator", MODERATOR)])
def test_a_role_brings_its_rights_everywhere(role, rights):
    taken = shown(role=role)
    assert {f"{each.module}:{each.action}" for each in taken.permissions} == rights
    assert {(each.scope_type, each.scope_id) for each in taken.permissions} == {("global", "*")}


def test_an_administrator_holds_the_whole_catalogue():
    assert len(shown(right(), role="admin").permissions) == sum(map(len, ACTIONS.values()))


def test_the_order_says_nothing_of_when_it_was_given():
    rights = [right(action) for action in ("view", "sign", "edit")]
    assert shown(*rights) == shown(*reversed(rights))


@pytest.mark.parametrize(
    ("offset", "there", "next_change"),
    [(-HOUR, False, NOW), (0 * HOUR, True, NOW + HOUR), (HOUR, False, None)],
)
def test_a_window_opens_and_closes_by_the_clock(offset, there, next_change):
    taken = shown(right(not_before=NOW, expires_at=NOW + HOUR), now=NOW + offset)
    assert (bool(taken.permissions), taken.next_change_at) == (there, next_change)


def test_of_two_windows_on_one_right_the_later_end_counts():
    taken = shown(right(expires_at=NOW + HOUR), right(expires_at=NOW + 2 * HOUR))
    assert (listed(taken), taken.next_change_at) == ([("contract", "sign", NOW + 2 * HOUR)], NOW + 2 * HOUR)


def test_a_window_to_come_is_a_change_to_come():
    taken = shown(right(expires_at=NOW + 2 * HOUR), right(not_before=NOW + HOUR, expires_at=NOW + 3 * HOUR))
    assert (listed(taken), taken.next_change_at) == ([("contract", "sign", NOW + 2 * HOUR)], NOW + HOUR)


def test_what_never_ends_is_not_changed_by_windows():
    taken = shown(right(), right(expires_at=NOW + HOUR), right(not_before=NOW + HOUR))
    assert (listed(taken), taken.next_change_at) == ([("contract", "sign", None)], None)
