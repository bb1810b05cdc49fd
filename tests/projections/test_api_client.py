"""API clients as the read model shows them: always two in a test, so that a lost condition is noticed."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.api_client.events import (
    ApiClientChanged,
    ApiClientDisabled,
    ApiClientEnabled,
    ApiClientKeyAdded,
    ApiClientRegistered,
    ApiKey,
)
from projections.api_client import API_CLIENTS
from tests.scenario import given

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
ONE, TWO = UUID(int=1), UUID(int=2)
KEY = ApiKey(key_id="a", made_at=NOW)
BOTH = (
    (ONE, ApiClientRegistered(name="One", client_key="one", kind="server", keys=(KEY,))),
    (TWO, ApiClientRegistered(name="Two", client_key="two", kind="browser", keys=(KEY,))),
)


@pytest.mark.parametrize("batch", [1, 500])
async def test_terms_and_keys_are_changed_on_their_client_only(dsn, batch):
    second = ApiKey(key_id="b", made_at=NOW)
    happened = (
        (ONE, ApiClientChanged(allowed_paths=("/organisations",), rate_limit_per_min=5)),
        (ONE, ApiClientKeyAdded(key_id="b", keys=(KEY, second))),
    )
    shown = await given(API_CLIENTS, *BOTH, *happened).delivered(dsn, times=2, batch=batch)
    one, two = shown[ONE], shown[TWO]
    assert (one.name, one.allowed_paths, one.rate_limit_per_min) == ("One", ("/organisations",), 5)
    assert (one.keys, one.version) == ((KEY, second), 3)
    assert (two.allowed_paths, two.rate_limit_per_min, two.keys, two.version) == ((), None, (KEY,), 1)


async def test_one_is_disabled_and_the_other_is_back(dsn):
    happened = ((ONE, ApiClientDisabled()), (TWO, ApiClientDisabled()), (TWO, ApiClientEnabled()))
    shown = await given(API_CLIENTS, *BOTH, *happened).delivered(dsn, times=2)
    assert (shown[ONE].status, shown[TWO].status) == ("inactive", "active")
