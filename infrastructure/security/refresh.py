"""Refresh tokens: each is good once, a retry gets the same successor, an old one that comes back ends the session."""

import binascii
import hmac
import os
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zlib import crc32

from psycopg_pool import AsyncConnectionPool

from application.session import RefreshedTooOften, Reused, Rotated
from infrastructure.personal_data import Wrapping

PREFIX = "rt1_"
RETRY = timedelta(seconds=30)
"""How long the token before the present one still gets the present one: the answer may have been lost on its way."""
REPEATS = 20
"""How often it does; who asks more often is told to wait, and loses nothing."""
IDLE = timedelta(days=7)
"""How long a session may rest between two refreshes, unless the settings or the session itself say otherwise."""

# version, session, generation, HMAC of these, CRC of it all: nothing that resembles a token is stored anywhere,
# and the same generation is always the same token, so a retry needs no memory.
_SIGNED = struct.Struct(">B16sI")
_WHOLE = struct.Struct(">B16sI16sI")
_VERSION = 1

RESTED = """exists (select from refreshes r where r.session_id = s.session_id
    and (r.generation = 0 or r.rotated_at + coalesce(r.idle, %(idle)s) <= clock_timestamp()))"""
"""Whether the session `s` is over though no event says so yet: unused for too long, or a token of it came back."""

RESTS_IN = """(select extract(epoch from r.rotated_at + coalesce(r.idle, %(idle)s) - clock_timestamp())::float8
    from refreshes r where r.session_id = s.session_id)"""
"""Seconds until the session `s` has rested too long, should nobody renew it; null: it never does."""

# The row lock makes parallel rotations queue here, and each sees what the one before it left. Generation 0: a token was
# used twice, and from this statement on none of the session is good, whenever the session itself is closed.
_ROTATE = """
update refreshes r
set generation = case when r.generation = %(generation)s then r.generation + 1
                      when r.generation = %(generation)s + 1 and r.rotated_at > %(retry_since)s then r.generation
                      else 0 end,
    rotated_at = case when r.generation = %(generation)s then %(now)s else r.rotated_at end,
    repeats = case when r.generation = %(generation)s then 0 else least(r.repeats + 1, 1000) end
from sessions s join principals p on p.user_id = s.user_id
where r.session_id = %(session_id)s and s.session_id = r.session_id and not s.ended and s.expires_at > %(now)s
  and r.rotated_at + coalesce(r.idle, %(idle)s) > %(now)s
  and p.state = 'active' and (r.generation >= %(generation)s or r.generation = 0)
returning r.generation, r.repeats, s.user_id, s.proved_at
"""


class RefreshTokens:
    """Implements application.session.Refreshes."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        wrapping: Wrapping,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        idle: timedelta = IDLE,
    ) -> None:
        self._pool, self._wrapping, self._clock, self._idle = pool, wrapping, clock, idle

    def first(self, session_id: UUID) -> tuple[bytes, str]:
        """A new session's wrapped secret, to be stored with its first event, and its first token."""
        secret = os.urandom(32)
        return self._wrapping.wrap(secret, _purpose(session_id)), encode(secret, session_id, 1)

    async def let_rest(self, session_id: UUID, idle: timedelta) -> None:
        """Another idle lifetime than everybody's for this session."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "update refreshes set idle = %s where session_id = %s", (idle, session_id)
            )

    async def rotate(self, token: str) -> Rotated | Reused | None:
        """The successor; Reused when an old one came back; None when it is no token of a live session.

        A forged one changes nothing: its HMAC is checked before the row is touched. Raises RefreshedTooOften.
        """
        named = decode(token)
        if named is None:
            return None
        session_id, generation = named
        now = self._clock()
        async with self._pool.connection() as connection:
            cursor = await connection.execute(
                "select secret from refreshes where session_id = %s", (session_id,)
            )
            kept = await cursor.fetchone()
            if kept is None:
                return None
            secret = self._wrapping.unwrap(kept[0], _purpose(session_id))
            if not hmac.compare_digest(token, encode(secret, session_id, generation)):
                return None
            cursor = await connection.execute(
                _ROTATE,
                {
                    "session_id": session_id,
                    "generation": generation,
                    "now": now,
                    "retry_since": now - RETRY,
                    "idle": self._idle,
                },
            )
            row = await cursor.fetchone()
        if row is None:
            return None
        present, repeats, user_id, proved_at = row
        if present == 0:
            return Reused(user_id=user_id, session_id=session_id)
        if repeats > REPEATS:
            raise RefreshedTooOften(int(RETRY.total_seconds()))
        successor = encode(secret, session_id, present)
        return Rotated(user_id=user_id, session_id=session_id, proved_at=proved_at, token=successor)


def encode(secret: bytes, session_id: UUID, generation: int) -> str:
    """The one token of this generation."""
    signed = _SIGNED.pack(_VERSION, session_id.bytes, generation)
    body = signed + hmac.digest(secret, signed, "sha256")[:16]
    return PREFIX + urlsafe_b64encode(body + crc32(body).to_bytes(4, "big")).decode().rstrip("=")


def decode(token: str) -> tuple[UUID, int] | None:
    """The session and generation it claims; None: mistyped, cut, or never a token. Proves nothing."""
    if not token.isascii() or not token.startswith(PREFIX) or len(token) > 64:
        return None
    text = token.removeprefix(PREFIX)
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        version, session_id, generation, _, checksum = _WHOLE.unpack(raw)
    except (binascii.Error, struct.error):
        return None
    if version != _VERSION or checksum != crc32(raw[:-4]) or not 0 < generation < 2**31 - 1:
        return None
    return UUID(bytes=session_id), generation


def _purpose(session_id: UUID) -> bytes:
    """A wrapped secret opens for its own session only."""
    return b"refresh " + session_id.bytes
