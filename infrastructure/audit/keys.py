"""The keys of the log: the seeds wrapped in the database, the public halves for whoever checks."""

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from psycopg import AsyncConnection

from infrastructure.audit.signed_note import Signer, Verifier, new_signer, stored_signer
from infrastructure.personal_data import Wrapping


class PublishedKey(Struct, frozen=True, kw_only=True):
    """A key of the log, in the form auditors pin. It signs nothing after `until`; what it signed stays signed."""

    vkey: str
    since: datetime
    until: datetime | None


async def published_keys(connection: AsyncConnection[Any]) -> list[PublishedKey]:
    """Every key that ever signed, oldest first."""
    rows = await connection.execute(
        "select name, public_key, made_at, retired_at from audit.keys order by id"
    )
    return [
        PublishedKey(vkey=Verifier(name=name, public=bytes(public)).vkey(), since=since, until=until)
        for name, public, since, until in await rows.fetchall()
    ]


async def current_signers(
    connection: AsyncConnection[Any], wrapping: Wrapping, origin: str
) -> tuple[Signer, ...]:
    """All keys in force, several while one takes over from another; the first is made now, and its name stays."""
    rows = await connection.execute(
        "select name, public_key, wrapped from audit.keys"
        " where retired_at is null or retired_at > clock_timestamp() order by id"
    )
    found = [
        stored_signer(Verifier(name=name, public=bytes(public)), bytes(wrapped), wrapping)
        for name, public, wrapped in await rows.fetchall()
    ]
    return tuple(found) or (await _first_signer(connection, wrapping, origin),)


class Succession(Struct, frozen=True, kw_only=True):
    """The key that signs from now on; those that sign beside it `until` then."""

    vkey: str
    follows: tuple[str, ...]
    until: datetime


async def succeed(
    connection: AsyncConnection[Any], wrapping: Wrapping, overlap: timedelta
) -> Succession | None:
    """Another key, and an end for those in force; None: there are none, the signer makes the first."""
    async with connection.transaction():
        rows = await connection.execute(
            "select id, name, public_key, clock_timestamp() + %s from audit.keys"
            " where retired_at is null order by id for update",
            (overlap,),
        )
        if not (found := await rows.fetchall()):
            return None
        signer, wrapped = new_signer(found[-1][1], wrapping)
        until: datetime = found[-1][3]
        await connection.execute("update audit.keys set retired_at = %s where retired_at is null", (until,))
        await connection.execute(
            "insert into audit.keys (name, public_key, wrapped) values (%s, %s, %s)",
            (signer.verifier.name, signer.verifier.public, wrapped),
        )
    follows = tuple(Verifier(name=name, public=bytes(public)).vkey() for _, name, public, _ in found)
    return Succession(vkey=signer.verifier.vkey(), follows=follows, until=until)


async def _first_signer(connection: AsyncConnection[Any], wrapping: Wrapping, origin: str) -> Signer:
    signer, wrapped = new_signer(origin, wrapping)
    await connection.execute(
        "insert into audit.keys (name, public_key, wrapped) values (%s, %s, %s)",
        (origin, signer.verifier.public, wrapped),
    )
    return signer
