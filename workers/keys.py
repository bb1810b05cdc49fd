"""Keeps the signing keys on their schedule: who holds the role activates, retires and adds what is due."""

import asyncio
from typing import Any

import structlog
from psycopg import AsyncConnection

from application.context import TooBusy
from application.signing_key import SigningKeys
from infrastructure.postgres import KEYS, Unavailable
from infrastructure.role import hold

EVERY = 5.0
"""Seconds between two looks."""

_log = structlog.get_logger()


async def run(url: str, keys: SigningKeys) -> None:
    async def work(connection: AsyncConnection[Any]) -> None:
        while True:
            await connection.execute("select 1")  # the role goes with the connection
            try:
                await keys.advance()
            except (Unavailable, TooBusy) as problem:
                _log.warning("signing_keys.waiting", problem=repr(problem))
            await asyncio.sleep(EVERY)

    await hold(url, "keys", KEYS, work)
