"""The store with many callers at once: what one batch may hold, and what must wait for the next."""

import asyncio

import pytest

from application.ports import Accepted, Attempt, StaleAccess
from domain.grant.events import GrantGiven, GrantRevoked, Subject
from domain.organisation.events import OrganisationAdded
from domain.shared import SYSTEM, Actor, Metadata
from domain.user.events import UserRoleChanged
from infrastructure.event_store import new_id
from tests import people
from tests.store import open_store

pytestmark = pytest.mark.anyio


def attempt(stream_id, *events, expected=0, actor=SYSTEM, **more):
    metadata = Metadata(actor=Actor(kind="user", id=actor), request_id="test")
    return Attempt(stream_id=stream_id, expected=expected, events=events, metadata=metadata, **more)


async def at_once(store, *attempts):
    """All of them wait while a first batch is on its way, so they could share the next one."""
    first = store.append(attempt(new_id(), OrganisationAdded(full_name="Alpha")))
    _, *verdicts = await asyncio.gather(first, *map(store.append, attempts))
    return verdicts


async def test_a_command_never_follows_its_users_change_of_role_in_one_batch(dsn):
    async with open_store(dsn) as (store, _):
        user = await people.registered(store, role="admin")
        session = await people.signed_in(store, user)
        demoted = attempt(user, UserRoleChanged(role="user"), expected=1)
        added = attempt(new_id(), OrganisationAdded(full_name="Beta"), actor=user, session=(session, 1))
        verdicts = await at_once(store, demoted, added)
    assert [type(verdict) for verdict in verdicts] == [Accepted, StaleAccess]


async def test_a_command_never_follows_the_revocation_of_its_grant_in_one_batch(dsn):
    async with open_store(dsn) as (store, _):
        user = await people.registered(store)
        given = GrantGiven(
            subject=Subject(type="user", id=user),
            scope_type="global",
            scope_id="*",
            module="organisation",
            action="create",
        )
        await people.append(store, given.stream_id, given)
        revoked = attempt(given.stream_id, GrantRevoked(reason="left"), expected=1)
        added = attempt(new_id(), OrganisationAdded(full_name="Beta"), actor=user, grant_id=given.stream_id)
        verdicts = await at_once(store, revoked, added)
    assert [type(verdict) for verdict in verdicts] == [Accepted, StaleAccess]
