"""The signer: one head after the other, never two that disagree, and none over a log that was changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import psycopg
import pytest

from infrastructure.audit.keys import published_keys, succeed
from infrastructure.audit.signed_note import Untrusted, open_note, parse_note, parse_vkey
from infrastructure.personal_data import Wrapping
from infrastructure.postgres import connect
from infrastructure.role import Connection
from projections.audit_log import AuditLog
from projections.audit_tree import signed_checkpoint
from projections.proofs import parse_checkpoint
from tests.auditing import follow, happen, superuser, true_root
from workers.signer import Fork, recheck, run, sign_once

pytestmark = pytest.mark.anyio

WRAPPING = Wrapping(bytes(range(32)))
ORIGIN = "chancery.example/audit/1"


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[Connection]:
    async with await connect(dsn) as opened:
        await opened.execute(AuditLog().ddl("read").encode())
        yield opened


async def test_a_head_is_signed_once_with_the_key_made_at_first_start(
    dsn: str, connection: Connection
) -> None:
    happen(dsn, 300)
    await follow(connection, AuditLog(), [300])
    signed = await sign_once(connection, WRAPPING, ORIGIN)
    assert signed is not None
    assert await sign_once(connection, WRAPPING, "another name") is None
    note = parse_note(signed.note)
    [key] = await published_keys(connection)
    assert open_note(note, [parse_vkey(key.vkey)])
    head = parse_checkpoint(note.text)
    assert (head.origin, head.size, head.root) == (ORIGIN, 300, await true_root(connection, 300))
    assert await signed_checkpoint(connection) == signed


async def test_what_is_not_built_yet_is_not_signed(dsn: str, connection: Connection) -> None:
    assert await sign_once(connection, WRAPPING, ORIGIN) is None
    happen(dsn, 10)
    assert await sign_once(connection, WRAPPING, ORIGIN) is None
    await follow(connection, AuditLog(), [4])
    signed = await sign_once(connection, WRAPPING, ORIGIN)
    assert signed is not None
    assert signed.size == 4


async def test_without_the_projection_it_waits(dsn: str) -> None:
    async with await connect(dsn) as connection:
        assert await sign_once(connection, WRAPPING, ORIGIN) is None


async def test_a_head_left_unsigned_by_a_crash_is_signed_first(dsn: str, connection: Connection) -> None:
    happen(dsn, 20)
    await follow(connection, AuditLog(), [10, 10])
    root = await true_root(connection, 10)
    await connection.execute("insert into audit.checkpoints (size, root) values (10, %s)", (root,))
    sizes = [
        signed and signed.size for signed in [await sign_once(connection, WRAPPING, ORIGIN) for _ in range(3)]
    ]
    assert sizes == [10, 20, None]


async def test_while_the_tree_is_built_again_nothing_is_signed(
    dsn: str, owner_dsn: str, connection: Connection
) -> None:
    happen(dsn, 20)
    await follow(connection, AuditLog(), [20])
    await sign_once(connection, WRAPPING, ORIGIN)
    await connection.execute(b"drop table read.audit_entry, read.audit_tile")
    await connection.execute(AuditLog().ddl("read").encode())
    await follow(connection, AuditLog(), [12])
    assert await sign_once(connection, WRAPPING, ORIGIN) is None
    await follow(connection, AuditLog(), [8], done=12)
    assert await sign_once(connection, WRAPPING, ORIGIN) is None


async def test_a_changed_history_is_not_signed(dsn: str, database, connection: Connection) -> None:
    happen(dsn, 20)
    await follow(connection, AuditLog(), [20])
    await sign_once(connection, WRAPPING, ORIGIN)
    superuser(database, "update stored_events set state = '{\"x\":1}' where notification_id = 5")
    await connection.execute(b"drop table read.audit_entry, read.audit_tile")
    await connection.execute(AuditLog().ddl("read").encode())
    happen(dsn, 1)
    await follow(connection, AuditLog(), [21])
    with pytest.raises(Fork, match="first 20 entries"):
        await sign_once(connection, WRAPPING, ORIGIN)


async def test_a_shortened_log_is_not_signed(dsn: str, database, connection: Connection) -> None:
    happen(dsn, 20)
    await follow(connection, AuditLog(), [20])
    await sign_once(connection, WRAPPING, ORIGIN)
    superuser(database, "delete from stored_events where notification_id > 15")
    with pytest.raises(Fork, match="20 entries were signed, and the log has only 15"):
        await sign_once(connection, WRAPPING, ORIGIN)


async def test_one_changed_byte_is_found_at_a_start_and_named(
    dsn: str, database, connection: Connection
) -> None:
    happen(dsn, 5_000)
    await follow(connection, AuditLog(), [5_000])
    superuser(database, "update stored_events set metadata = '{\"a\":1}' where notification_id = 4900")
    assert await recheck(connection, 2_048) == 4_096
    with pytest.raises(Fork, match="stored event 4900"):
        await recheck(connection, 4_096)


async def test_a_whole_pass_over_a_sound_log_ends(dsn: str, connection: Connection) -> None:
    happen(dsn, 3_000)
    await follow(connection, AuditLog(), [3_000])
    assert await recheck(connection, 0) == 2_048
    assert await recheck(connection, 2_048) == 3_000
    assert await recheck(connection, 3_000) == 3_000


async def test_two_signers_sign_one_line_of_heads(dsn: str, connection: Connection) -> None:
    projection = AuditLog()
    signers = [asyncio.create_task(run(dsn, WRAPPING, ORIGIN)) for _ in range(2)]
    try:
        for done in range(0, 30, 10):
            happen(dsn, 10)
            await follow(connection, projection, [10], done=done)
            async with asyncio.timeout(5):
                while (signed := await signed_checkpoint(connection)) is None or signed.size < done + 10:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert parse_checkpoint(parse_note(signed.note).text).root == await true_root(
                connection, done + 10
            )
    finally:
        for task in signers:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*signers)
    assert len(await published_keys(connection)) == 1


async def test_a_fork_ends_the_role(dsn: str, database, connection: Connection) -> None:
    happen(dsn, 20)
    await follow(connection, AuditLog(), [20])
    await sign_once(connection, WRAPPING, ORIGIN)
    superuser(database, "delete from stored_events where notification_id > 15")
    async with asyncio.timeout(5):
        with pytest.raises(Fork):
            await run(dsn, WRAPPING, ORIGIN)


async def test_nobody_takes_back_a_signature(dsn: str, owner_dsn: str, connection: Connection) -> None:
    happen(dsn, 3)
    await follow(connection, AuditLog(), [3])
    await sign_once(connection, WRAPPING, ORIGIN)
    statements = (
        "update audit.checkpoints set note = 'another'",
        "update audit.checkpoints set root = sha256('x')",
        "delete from audit.checkpoints",
        "truncate audit.checkpoints",
        "update audit.keys set wrapped = 'x'",
        "delete from audit.keys",
    )
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        for statement in statements:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                owner.execute(statement)


async def test_two_keys_sign_while_one_takes_over_and_either_is_enough(
    dsn: str, connection: Connection
) -> None:
    happen(dsn, 3)
    await follow(connection, AuditLog(), [3])
    assert await succeed(connection, WRAPPING, timedelta(days=30)) is None
    await sign_once(connection, WRAPPING, ORIGIN)
    succession = await succeed(connection, WRAPPING, timedelta(days=30))
    assert succession is not None
    happen(dsn, 3)
    await follow(connection, AuditLog(), [3], done=3)
    signed = await sign_once(connection, WRAPPING, ORIGIN)
    assert signed is not None
    old, new = [parse_vkey(key.vkey) for key in await published_keys(connection)]
    assert (old.vkey(), new.vkey()) == (*succession.follows, succession.vkey)
    for trusted in (old, new):
        assert open_note(parse_note(signed.note), [trusted]) == (trusted,)


async def test_a_key_whose_time_is_over_signs_nothing_more_and_stays_published(
    dsn: str, connection: Connection
) -> None:
    happen(dsn, 3)
    await follow(connection, AuditLog(), [3])
    await sign_once(connection, WRAPPING, ORIGIN)
    await succeed(connection, WRAPPING, timedelta())
    happen(dsn, 3)
    await follow(connection, AuditLog(), [3], done=3)
    signed = await sign_once(connection, WRAPPING, ORIGIN)
    assert signed is not None
    before, after = await published_keys(connection)
    assert (before.until is None, after.until) == (False, None)
    assert open_note(parse_note(signed.note), [parse_vkey(after.vkey)])
    with pytest.raises(Untrusted):
        open_note(parse_note(signed.note), [parse_vkey(before.vkey)])
