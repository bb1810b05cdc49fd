"""Who a session belongs to and what he may do now: one coalesced statement of index probes, remembered for commands."""

import time
from collections import OrderedDict
from datetime import datetime, timedelta
from functools import lru_cache, partial
from math import inf
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from psycopg import AsyncConnection

from application.access import Caller, Right, SessionEnded
from domain.api_client.guards import ROLE as CLIENT
from domain.shared import Actor
from infrastructure.postgres import GroupRead
from infrastructure.security.refresh import IDLE, RESTED, RESTS_IN

REMEMBERED = 20_000
"""Sessions whose caller is kept for commands."""

RIGHTS = """(select json_agg(json_build_array(g.grant_id, g.scope_type, g.scope_id, g.module, g.action, g.grantable,
                                       g.not_before, g.expires_at))::text
   from (values (case p.role when 'client' then 'client' else 'user' end, p.user_id),
                ('department', p.department_id)) as subject(kind, id)
   join rights g on g.subject_kind = subject.kind and g.subject_id = subject.id
   where g.expires_at is null or g.expires_at > clock_timestamp())"""
"""The rights of the user or API client `p`, his own and his department's, for `rights_of` to read."""

_READ = f"""
select s.session_id, s.user_id, s.access_version, s.proved_at, p.role, p.department_id, p.must_change_password,
  {RIGHTS}, {RESTS_IN}
from sessions s join principals p on p.user_id = s.user_id
where s.session_id = any(%(sessions)s) and not s.ended and s.expires_at > clock_timestamp() and p.state = 'active'
  and not {RESTED}
"""


class _Held(Struct, frozen=True, array_like=True):
    """A right as the statement packs it."""

    grant_id: UUID
    scope_type: str
    scope_id: str
    module: str
    action: str
    grantable: bool
    not_before: datetime | None
    expires_at: datetime | None


_held: msgspec.json.Decoder[list[_Held]] = msgspec.json.Decoder(list[_Held])


class Seated(Struct, frozen=True):
    """A caller, and the moment (monotonic seconds) from which on his session has rested too long, unless renewed."""

    caller: Caller
    rests_at: float


class SessionCallers:
    """Implements application.ports.Callers. Its `run` must be at work."""

    def __init__(self, url: str, *, idle: timedelta = IDLE) -> None:
        self._read = GroupRead(url, partial(read_callers, idle=idle), name="chancery callers")
        # bounded: by REMEMBERED sessions, the one unused for longest goes
        self._remembered: OrderedDict[UUID, Seated] = OrderedDict()

    async def of_session(self, session_id: UUID, user_id: UUID, *, fresh: bool) -> Caller:
        """The user as the guards know him now, or, unless `fresh`, as this process knew him last.

        What is remembered serves commands alone: append judges `access_version` again, but not how long the session
        has rested, so that is remembered, too. Raises SessionEnded when the session is over or not his, or he may not
        act any more.
        """
        seated = None if fresh else self._remembered.get(session_id)
        if seated is None or seated.rests_at <= time.monotonic():
            seated = await self._read(session_id)
            self._keep(session_id, seated)
        if seated is None or seated.caller.actor.id != user_id:
            raise SessionEnded("This session is over. Sign in again.")
        return seated.caller

    async def caller(self, caller: Caller) -> Caller:
        """The same caller, read again now; one without a session (the system itself) as he is. Raises SessionEnded."""
        if caller.session_id is None:
            return caller
        return await self.of_session(caller.session_id, caller.actor.id, fresh=True)

    async def run(self) -> None:
        """Answers for ever."""
        await self._read.run()

    def _keep(self, session_id: UUID, seated: Seated | None) -> None:
        if seated is None:
            self._remembered.pop(session_id, None)
            return
        self._remembered[session_id] = seated
        self._remembered.move_to_end(session_id)
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)


async def read_callers(
    connection: AsyncConnection[Any], sessions: list[UUID], *, idle: timedelta = IDLE
) -> dict[UUID, Seated]:
    """The callers of those sessions that are live and whose user is active."""
    cursor = connection.cursor(binary=True)
    await cursor.execute(_READ.encode(), {"sessions": sessions, "idle": idle}, prepare=True)
    now = time.monotonic()
    return {
        row[0]: Seated(_caller(*row[:-1]), inf if row[-1] is None else now + row[-1])
        for row in await cursor.fetchall()
    }


def _caller(
    session_id: UUID,
    user_id: UUID,
    access_version: int,
    proved_at: datetime,
    role: str,
    department_id: UUID | None,
    must_change_password: bool,  # noqa: FBT001 - a column of the row
    held: str | None,
) -> Caller:
    return Caller(
        actor=Actor(kind=CLIENT if role == CLIENT else "user", id=user_id),
        role=role,
        department_id=department_id,
        session_id=session_id,
        access_version=access_version,
        proved_at=proved_at,
        must_change_password=must_change_password,
        rights=rights_of(held),
    )


@lru_cache(4096)
def rights_of(held: str | None) -> tuple[Right, ...]:
    """Remembered by what the statement said: rights are read with each query and change once in a while."""
    return () if held is None else tuple(Right(**msgspec.structs.asdict(each)) for each in _held.decode(held))
