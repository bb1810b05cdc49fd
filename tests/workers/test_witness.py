"""Witnesses cosign what is copied: once they have seen that the log only grew. None of them can stop it."""

import asyncio

import pytest

from infrastructure import outbound
from infrastructure.audit.signed_note import parse_note
from infrastructure.audit.witness import Cosigner, NotCosigned, Remembers, Witness, parse_cosigner
from infrastructure.settings_rules import RULES
from infrastructure.tasks import end
from projections.audit_tree import consistency_proof, signed_checkpoint
from projections.proofs import Malformed, parse_checkpoint
from tests import witness as witnesses
from tests.waiting import until
from tests.workers.test_tile_copy import _alarm, connection, grown, objects, reader
from workers.tile_copy import CopyPlace, TileCopy

__all__ = ["connection", "objects"]
pytestmark = pytest.mark.anyio


@pytest.fixture
async def there():
    async with witnesses.witnessing() as witness:
        yield witness


@pytest.fixture
async def ours(there):
    async with outbound.client() as client:
        yield Witness(client, f"{there.url} {there.vkey}")


async def cosigned(connection, ours) -> str:
    """What the witness says of the newest checkpoint."""
    signed = await signed_checkpoint(connection)
    checkpoint = parse_checkpoint(parse_note(signed.note).text)
    return await ours.cosign(
        signed.note, checkpoint, lambda seen: consistency_proof(connection, seen, checkpoint.size)
    )


async def test_a_witness_cosigns_what_continues_what_it_has_seen(dsn, connection, there, ours):
    await grown(dsn, connection, 10)
    line = await cosigned(connection, ours)
    note = (await signed_checkpoint(connection)).note
    found = parse_note(note + line).signatures[-1]
    assert ours.cosigner.cosigned(parse_note(note).text, found)
    await grown(dsn, connection, 290, done=10)
    assert await cosigned(connection, ours)
    assert [size for size, _ in there.seen.values()] == [300]
    assert await cosigned(connection, ours), "the same again"


async def test_who_knows_nothing_of_it_is_told_how_much_it_has_seen(dsn, connection, there, ours):
    await grown(dsn, connection, 10)
    await cosigned(connection, ours)
    await grown(dsn, connection, 20, done=10)
    ours._seen = 0
    assert await cosigned(connection, ours)
    assert there.asked == 3


async def test_a_witness_that_has_seen_more_remembers(dsn, connection, there, ours):
    await grown(dsn, connection, 10)
    there.seen["chancery.example/audit"] = (40, bytes(32))
    with pytest.raises(Remembers, match="has seen 40 entries"):
        await cosigned(connection, ours)


async def test_another_history_is_not_cosigned(dsn, connection, there, ours):
    await grown(dsn, connection, 10)
    there.seen["chancery.example/audit"] = (4, bytes(32))
    with pytest.raises(NotCosigned, match="answered 422"):
        await cosigned(connection, ours)


@pytest.mark.parametrize(
    "answer",
    [
        (200, b""),
        (200, b"rubbish"),
        (200, b"\xff"),
        (200, b"x" * 20_000),
        (200, "— witness.example/w1 AAAAAAAA\n".encode()),
        (404, b""),
        (403, b""),
        (500, b"oops"),
        (302, b""),
        (409, b""),
        (409, b"-1\n"),
        (409, b"0\n"),
        (409, b"007\n"),
    ],
)
async def test_an_answer_that_is_no_cosignature_is_none(dsn, connection, there, ours, answer):
    await grown(dsn, connection, 3)
    there.always = answer
    with pytest.raises(NotCosigned):
        await cosigned(connection, ours)


async def test_a_cosignature_of_another_checkpoint_or_key_counts_for_nothing(dsn, connection, there, ours):
    await grown(dsn, connection, 3)
    line = await cosigned(connection, ours)
    await grown(dsn, connection, 3, done=3)
    there.always = (200, line.encode())
    with pytest.raises(NotCosigned, match="no signature of its key"):
        await cosigned(connection, ours)


async def test_the_copy_carries_cosignatures_and_waits_for_no_witness(
    dsn, owner_dsn, connection, objects, there, ours
):
    await grown(dsn, connection, 10)
    theirs = await reader(objects, connection)
    copy = TileCopy(objects, entries=False, every=0.05, witnesses=[ours])

    async def signers() -> list[str]:
        return [each.name for each in parse_note(await theirs.read("checkpoint")).signatures]

    task = asyncio.create_task(copy.run(dsn))
    try:
        await until(lambda: _size(theirs, 10))
        assert await signers() == ["chancery.example/audit", there.name]
        there.always = (500, b"")
        await grown(dsn, connection, 10, done=10)
        await until(lambda: _size(theirs, 20))
        assert await signers() == ["chancery.example/audit"]
        await until(lambda: _alarm(owner_dsn, f"witness {there.name}"))
        there.always = None
        await grown(dsn, connection, 10, done=20)
        await until(lambda: _size(theirs, 30))
        assert await signers() == ["chancery.example/audit", there.name]
        await until(lambda: _alarm(owner_dsn, f"witness {there.name}") is None)
        seen = await CopyPlace(objects).seen(connection)
        assert seen is not None
        assert seen.size == 30, "it is still known as ours"
    finally:
        await end(task)


async def _size(theirs, size: int) -> bool:
    return await theirs.size() == size


def test_a_key_of_cosignatures_has_one_spelling() -> None:
    key = Cosigner(name="witness.example/w1", public=bytes(32))
    assert parse_cosigner(key.vkey()) == key
    for wrong in (
        "",
        "w1",
        key.vkey() + "=",
        key.vkey().replace("+", " ", 1),
        key.vkey().replace("+", "+0", 1),
    ):
        with pytest.raises(Malformed):
            parse_cosigner(wrong)
    rule = RULES["witnesses"]
    assert rule(f"https://witness.example/prefix {key.vkey()}") is None
    for wrong in (key.vkey(), "https://witness.example", f"ftp://witness.example {key.vkey()}"):
        assert rule(wrong)
