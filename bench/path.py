"""The write path wired by hand, with no API in front, and a signed-in user with a grant to go with it."""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

import psycopg

from application.access import Caller, Right
from application.context import Context
from application.execute import Execute
from bench.machine import Database
from domain.shared import Actor, Origin
from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.event_store import EventStore, read_receipts
from infrastructure.guards import Guards
from infrastructure.personal_data import Vault, Wrapping
from infrastructure.postgres import GroupRead, open_pool
from infrastructure.writer import Writer


class _Known:
    async def caller(self, caller: Caller) -> Caller:
        return caller


class WritePath(NamedTuple):
    store: EventStore
    execute: Execute


@contextlib.asynccontextmanager
async def write_path(database: Database) -> AsyncGenerator[WritePath]:
    """Everything in: rights, claims, sealed metadata, verdicts."""
    wrapping, codec = Wrapping(os.urandom(32)), EventCodec()
    async with await open_pool(database.app, size=4) as pool:
        vault = Vault(pool, wrapping)
        writer, receipts = Writer(database.app), GroupRead(database.app, read_receipts, name="receipts")
        store = EventStore(
            EventLog(pool, codec, vault), writer, codec, vault, Guards(wrapping.blind), receipts
        )
        running = [asyncio.create_task(each.run()) for each in (writer, receipts)]
        try:
            yield WritePath(store, Execute(store, _Known(), lambda: datetime.now(UTC)))
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


def signed_in(database: Database) -> Context:
    """A request of a user whose session is live and who may add organisations by a grant; both stand in the guards."""
    user, session, grant = uuid4(), uuid4(), uuid4()
    with psycopg.connect(database.admin) as admin:
        admin.execute(
            "insert into principals (user_id, role, state, must_change_password)"
            " values (%s, 'user', 'active', false)",
            (user,),
        )
        admin.execute(
            "insert into sessions (session_id, user_id, proved_at, expires_at) values (%s, %s, now(), %s)",
            (session, user, datetime.now(UTC) + timedelta(days=1)),
        )
        admin.execute(
            "insert into rights (grant_id, subject_kind, subject_id, scope_type, scope_id, module, action, grantable)"
            " values (%s, 'user', %s, 'global', '*', 'organisation', 'create', false)",
            (grant, user),
        )
    return Context(
        caller=_caller(user, session, grant),
        request_id=uuid4().hex,
        origin=Origin(address="127.0.0.1", agent="bench"),
    )


def _caller(user: UUID, session: UUID, grant: UUID) -> Caller:
    right = Right(grant_id=grant, scope_type="global", scope_id="*", module="organisation", action="create")
    return Caller(
        actor=Actor(kind="user", id=user), role="user", session_id=session, access_version=1, rights=(right,)
    )
