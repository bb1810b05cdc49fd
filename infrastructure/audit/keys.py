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
        "select k.name, k.public_key, k.made_at, least(k.retired_at, min(later.begun_at)) from audit.keys k"
        " join epochs e using (epoch) left join epochs later on later.begun_at > e.begun_at"
        " group by k.id order by k.id"
    )
    return [
        PublishedKey(vkey=Verifier(name=name, public=bytes(public)).vkey(), since=since, until=until)
        for name, public, since, until in await rows.fetchall()
    ]


async def current_signers(
    connection: AsyncConnection[Any], wrapping: Wrapping, origin: str
) -> tuple[Signer, ...]:
    """All keys in force, several while one takes over from another; an epoch's first is made now, its name stays."""
    rows = await connection.execute(
        "select name, public_key, wrapped from audit.keys where epoch = current_epoch()"
        " and (retired_at is null or retired_at > clock_timestamp()) order by id"
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
            " where epoch = current_epoch() and retired_at is null order by id for update",
            (overlap,),
        )
        if not (found := await rows.fetchall()):
            return None
        signer, wrapped = new_signer(found[-1][1], wrapping)
        until: datetime = found[-1][3]
        await connection.execute(
            "update audit.keys set retired_at = %s where epoch = current_epoch() and retired_at is null",
            (until,),
        )
        await connection.execute(
            "insert into audit.keys (name, public_key, wrapped) values (%s, %s, %s)",
            (signer.verifier.name, signer.verifier.public, wrapped),
        )
    follows = tuple(Verifier(name=name, public=bytes(public)).vkey() for _, name, public, _ in found)
    return Succession(vkey=signer.verifier.vkey(), follows=follows, until=until)


async def _first_signer(connection: AsyncConnection[Any], wrapping: Wrapping, origin: str) -> Signer:
    """A log that was set back goes on under another name: no two histories are signed under one."""
    row = await (
        await connection.execute("select count(*), left(current_epoch()::text, 8) from epochs")
    ).fetchone()
    epochs, short = row or (1, "")
    name = origin if epochs == 1 else f"{origin}/{short}"
    signer, wrapped = new_signer(name, wrapping)
    await connection.execute(
        "insert into audit.keys (name, public_key, wrapped) values (%s, %s, %s)",
        (name, signer.verifier.public, wrapped),
    )
    return signer
