"""Grants as the read model shows them: always two in a test, so that a lost condition is noticed."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.grant.events import GrantChanged, GrantExpired, GrantGiven, GrantRevoked, Subject
from projections.grant import GRANTS
from tests.scenario import given

pytestmark = pytest.mark.anyio

END = datetime(2026, 5, 3, 12, tzinfo=UTC)
ANNA = {"subject": Subject(type="user", id=UUID(int=1)), "scope_type": "global", "scope_id": "*"}
SALES = {"subject": Subject(type="department", id=UUID(int=2)), "scope_type": "own", "scope_id": "*"}
SIGN, VIEW = {"module": "contract", "action": "sign"}, {"module": "contract", "action": "view"}
ONE, TWO = GrantGiven(**ANNA, **SIGN), GrantGiven(**SALES, **VIEW, expires_at=END)
BOTH = ((ONE.stream_id, ONE), (TWO.stream_id, TWO))


@pytest.mark.parametrize("batch", [1, 500])
async def test_other_terms_are_shown_on_their_grant_only(dsn, batch):
    changed = GrantChanged(**ANNA, **SIGN, grantable=True, reason="deputy")
    shown = await given(GRANTS, *BOTH, (ONE.stream_id, changed)).delivered(dsn, times=2, batch=batch)
    one, two = shown[ONE.stream_id], shown[TWO.stream_id]
    assert (one.grantable, one.reason, one.version, one.state) == (True, "deputy", 2, "active")
    assert (two.grantable, two.reason, two.version, two.state) == (False, None, 1, "active")
    assert (one.subject.type, two.subject.type, two.expires_at) == ("user", "department", END)


async def test_one_is_revoked_and_the_other_lapses(dsn):
    ends = ((ONE.stream_id, GrantRevoked(reason="left")), (TWO.stream_id, GrantExpired(expired_at=END)))
    shown = await given(GRANTS, *BOTH, *ends).delivered(dsn, times=2)
    assert (shown[ONE.stream_id].state, shown[TWO.stream_id].state) == ("revoked", "expired")


async def test_given_again_it_is_active_on_the_new_terms(dsn):
    again = GrantGiven(**SALES, **VIEW)
    facts = ((TWO.stream_id, GrantExpired(expired_at=END)), (TWO.stream_id, again))
    shown = await given(GRANTS, *BOTH, *facts).delivered(dsn)
    two = shown[TWO.stream_id]
    assert (two.state, two.expires_at, two.version) == ("active", None, 3)
    assert two.created_at < two.given_at
    assert two.given_by.kind == "system"
