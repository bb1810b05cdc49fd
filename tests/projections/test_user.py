"""Users as they are shown: two at once, delivered twice."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.user.events import (
    UserBlocked,
    UserChanged,
    UserDeactivated,
    UserDepartmentChanged,
    UserPasswordChanged,
    UserPasswordReset,
    UserProvisioned,
    UserReactivated,
    UserRegistered,
    UserRoleChanged,
    UserSignedOut,
    UserSynced,
    UserUnblocked,
)
from projections.user import USERS
from tests.scenario import given

pytestmark = pytest.mark.anyio

ANNA, BORIS, SALES = UUID(int=1), UUID(int=2), UUID(int=3)
ISSUER, NOW, LATER = (
    "https://idp.example/",
    datetime(2026, 5, 3, 10, tzinfo=UTC),
    datetime(2026, 5, 4, 10, tzinfo=UTC),
)

REGISTERED = UserRegistered(email="anna@example.org", first_name="Anna", last_name="Berg", role="user")
PROVISIONED = UserProvisioned(
    issuer=ISSUER, sub="b", display_name="Boris V.", synced_at=NOW, error="email_taken"
)


async def test_each_shows_its_own_and_nothing_twice(dsn):
    shown = await given(
        USERS,
        (ANNA, REGISTERED),
        (BORIS, PROVISIONED),
        (ANNA, UserDepartmentChanged(department_id=SALES)),
        (BORIS, UserChanged(email="boris@example.org", first_name="Boris", last_name="Volkov")),
        (BORIS, UserSynced(issuer=ISSUER, synced_at=LATER)),
        (ANNA, UserChanged(patronymic="Ivanovna")),
        (ANNA, UserPasswordReset()),
        (BORIS, UserBlocked(reason="left")),
    ).delivered(dsn, times=2, batch=3)
    anna, boris = shown[ANNA], shown[BORIS]
    assert (anna.sub, anna.identities, anna.department_id) == (str(ANNA), (), SALES)
    assert (anna.display_name, anna.must_change_password) == ("Berg Anna Ivanovna", True)
    assert (boris.sub, boris.display_name, boris.email) == ("b", "Boris V.", "boris@example.org")
    assert (boris.state, boris.version) == ("blocked", 4)
    (identity,) = boris.identities
    assert (identity.issuer, identity.sub) == (ISSUER, "b")
    assert (identity.last_synced_at, identity.last_error) == (LATER, None)


@pytest.mark.parametrize(
    ("events", "shows"),
    [
        ((UserRoleChanged(role="admin"),), {"role": "admin", "state": "active"}),
        ((UserDeactivated(),), {"state": "deactivated"}),
        ((UserDeactivated(), UserReactivated(role="user")), {"state": "active"}),
        ((UserBlocked(reason="r"), UserUnblocked(role="user")), {"state": "active"}),
        ((UserPasswordReset(), UserPasswordChanged()), {"must_change_password": False}),
        ((UserSignedOut(),), {"state": "active", "version": 2}),
        ((UserChanged(display_name="A. B."), UserChanged(first_name="Anne")), {"display_name": "A. B."}),
        ((UserChanged(last_name=None),), {"display_name": "Anna"}),
        ((UserChanged(last_name=None, first_name=None),), {"display_name": None}),
        ((UserDepartmentChanged(department_id=None),), {"department_id": None}),
    ],
)
async def test_what_each_fact_shows(dsn, events, shows):
    facts = [(ANNA, event) for event in events]
    user = (await given(USERS, (ANNA, REGISTERED), *facts).delivered(dsn))[ANNA]
    assert {name: getattr(user, name) for name in shows} == shows
