"""Callers: a query asks anew who is calling, a command goes by memory, and both learn when the session is over."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import psycopg
import pytest

from application.access import Resource, SessionEnded, may, system
from domain.session.events import SessionClosed, SessionProved
from domain.user.events import UserSignedOut
from infrastructure.postgres import connect
from infrastructure.security import callers as module
from infrastructure.security.callers import SessionCallers
from tests import people
from tests.store import open_store

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(dsn):
    async with open_store(dsn) as (opened, _):
        yield opened


@pytest.fixture
async def callers(dsn):
    made = SessionCallers(dsn)
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()
    await asyncio.wait([task])


def held(owner_dsn, kind, subject, action="view", scope=("global", "*"), **time):
    grant = uuid4()
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute(
            "insert into rights values (%s, %s, %s, %s, %s, 'organisation', %s, false, %s, %s)",
            (grant, kind, subject, *scope, action, time.get("not_before"), time.get("expires_at")),
        )
    return grant


async def test_a_session_becomes_its_user_as_the_guards_know_him(store, callers):
    department = uuid4()
    user = await people.registered(store, role="moderator", department_id=department)
    session = await people.signed_in(store, user)
    caller = await callers.of_session(session, user, fresh=True)
    assert (caller.actor.kind, caller.actor.id) == ("user", user)
    assert (caller.role, caller.department_id, caller.session_id) == ("moderator", department, session)
    assert caller.access_version == 1
    assert not caller.must_change_password
    assert datetime.now(UTC) - caller.proved_at < timedelta(minutes=1)
    assert caller.rights == ()


async def test_rights_are_the_users_and_his_departments_and_nobody_elses(store, callers, owner_dsn):
    department = uuid4()
    user = await people.registered(store, department_id=department)
    session = await people.signed_in(store, user)
    now = datetime.now(UTC)
    own = held(owner_dsn, "user", user, scope=("organisation", "7"), expires_at=now + timedelta(hours=1))
    shared = held(owner_dsn, "department", department, "edit", not_before=now + timedelta(hours=1))
    held(owner_dsn, "user", user, "archive", expires_at=now - timedelta(seconds=1))
    held(owner_dsn, "user", uuid4())
    held(owner_dsn, "department", user)
    held(owner_dsn, "client", user)
    caller = await callers.of_session(session, user, fresh=True)
    assert {right.grant_id for right in caller.rights} == {own, shared}
    seven = Resource(scopes=frozenset({("organisation", "7")}))
    assert may(caller, "organisation:view", seven, now).grant_id == own
    assert may(caller, "organisation:view", Resource(), now) is None
    assert may(caller, "organisation:edit", seven, now) is None, "not yet"
    assert may(caller, "organisation:edit", seven, now + timedelta(hours=2)).grant_id == shared


async def test_a_query_sees_what_changed_and_a_command_goes_by_memory(store, callers, owner_dsn):
    user = await people.registered(store)
    session = await people.signed_in(store, user)
    known = await callers.of_session(session, user, fresh=False)
    await people.append(store, session, SessionProved(proved_at=datetime.now(UTC)), expected=1)
    grant = held(owner_dsn, "user", user)
    assert await callers.of_session(session, user, fresh=False) is known
    renewed = await callers.caller(known)
    assert renewed.access_version == 2
    assert renewed.rights[0].grant_id == grant
    assert await callers.of_session(session, user, fresh=False) is renewed, "and memory moves on"


async def test_an_ended_session_is_nobodys(store, callers):
    user = await people.registered(store)
    closed, other = await people.signed_in(store, user), await people.signed_in(store, user)
    await callers.of_session(closed, user, fresh=False)
    await people.append(store, closed, SessionClosed(reason="signed_out"), expected=1)
    with pytest.raises(SessionEnded):
        await callers.of_session(closed, user, fresh=True)
    with pytest.raises(SessionEnded):
        await callers.of_session(closed, user, fresh=False)
    assert await callers.of_session(other, user, fresh=True)
    await people.append(store, user, UserSignedOut(), expected=1)
    with pytest.raises(SessionEnded):
        await callers.of_session(other, user, fresh=True)


async def test_memory_does_not_keep_a_session_that_rests_too_long(store, callers, owner_dsn, monkeypatch):
    user = await people.registered(store)
    session = await people.signed_in(store, user, secret=bytes(32))
    known = await callers.of_session(session, user, fresh=False)
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + timedelta(days=7, seconds=1).total_seconds())
    monkeypatch.setattr(module, "time", later)
    renewed = await callers.of_session(session, user, fresh=False)
    assert renewed is not known, "asked anew; it was renewed meanwhile, as far as the database knows"
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("update refreshes set rotated_at = rotated_at - interval '7 days'")
    monkeypatch.setattr(module, "time", time)
    assert await callers.of_session(session, user, fresh=False) is renewed, "as long as it may rest"
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + timedelta(days=15).total_seconds())
    monkeypatch.setattr(module, "time", later)
    with pytest.raises(SessionEnded):
        await callers.of_session(session, user, fresh=False)


async def test_an_expired_session_an_unknown_one_and_another_users_are_nobodys(store, callers):
    user = await people.registered(store)
    expired = await people.signed_in(store, user, lifetime=timedelta(0))
    live = await people.signed_in(store, user)
    for session, whose in ((expired, user), (uuid4(), user), (live, uuid4())):
        for fresh in (True, False):
            with pytest.raises(SessionEnded):
                await callers.of_session(session, whose, fresh=fresh)
    assert await callers.of_session(live, user, fresh=False)


async def test_a_blocked_user_is_nobody(store, callers, owner_dsn):
    user = await people.registered(store)
    session = await people.signed_in(store, user)
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("update principals set state = 'blocked'")
    with pytest.raises(SessionEnded):
        await callers.of_session(session, user, fresh=True)


async def test_the_system_is_itself(callers):
    assert await callers.caller(system()) == system()


async def test_many_at_once_share_statements(store, callers):
    users = [await people.registered(store) for _ in range(20)]
    sessions = [await people.signed_in(store, user) for user in users]
    found = await asyncio.gather(
        *(
            callers.of_session(s, u, fresh=True)
            for _ in range(5)
            for s, u in zip(sessions, users, strict=True)
        )
    )
    assert [caller.actor.id for caller in found] == users * 5


async def test_memory_is_bounded(store, callers, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED", 3)
    user = await people.registered(store)
    sessions = [await people.signed_in(store, user) for _ in range(5)]
    for session in sessions:
        await callers.of_session(session, user, fresh=False)
    assert list(callers._remembered) == sessions[2:]


async def test_the_statement_is_index_probes_only(dsn):
    async with await connect(dsn) as connection:
        statement = module._READ.replace("%(sessions)s", "$1::uuid[]").replace("%(idle)s", "$2::interval")
        await connection.execute(f"prepare q as {statement}".encode())
        rows = await (await connection.execute("explain execute q ('{}', '7 days')")).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in plan
    assert "Hash" not in plan
    assert "Merge" not in plan
