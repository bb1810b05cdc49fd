"""An auditor's verification: a sound log passes, and every way to bend one is found, named, and told apart."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.audit.export import DatabaseSource, NothingToExport, export_lines
from infrastructure.audit.keys import published_keys
from infrastructure.audit.live import verify_database, wrong_tiles
from infrastructure.audit.report import MOST_FINDINGS, Report, Verdict
from infrastructure.audit.signed_note import Note, Signer, Verifier, parse_note, parse_vkey, sign
from infrastructure.audit.verify import Examiner
from infrastructure.personal_data import Wrapping
from infrastructure.postgres import connect
from infrastructure.role import Connection
from projections.audit_log import AuditLog
from projections.merkle import leaf_hash, perfect_hash
from projections.proofs import Checkpoint
from projections.tiles import Edge, TileAt
from tests.auditing import follow, happen, superuser
from workers.signer import sign_once

SIZE = 600
ORIGIN = "chancery.example/audit/1"
WRAPPING = Wrapping(bytes(range(32)))
SIGNER, STRANGER = Signer(ORIGIN, bytes(range(32))), Signer(ORIGIN, bytes(32))

Lines = list[bytes]


def built(
    size: int = SIZE, signer: Signer = SIGNER, keys: tuple[Signer, ...] = (), text: bytes = b"content"
) -> Lines:
    """An export written here, without the exporter."""
    leaves = [b"[%d,%s]" % (index + 1, b'"' + text + b'"') for index in range(size)]
    hashes = [leaf_hash(leaf) for leaf in leaves]
    lines = [{"format": "chancery-audit-export@v1", "origin": ORIGIN, "size": size}]
    for first in range(0, size, 256):
        row = hashes[first : first + 256]
        lines += [{"i": i, "leaf": leaves[i], "hash": hashes[i]} for i in range(first, first + len(row))]
        lines.append({"block": first // 256, "hash": Edge().grown(row)[0].root()})
    lines.append(
        {"checkpoint": str(note_of(hashes, signer)), "keys": [s.verifier.vkey() for s in (signer, *keys)]}
    )
    return [msgspec.json.encode(line) + b"\n" for line in lines]


def note_of(hashes: list[bytes], signer: Signer) -> Note:
    head = Checkpoint(origin=ORIGIN, size=len(hashes), root=Edge().grown(hashes)[0].root())
    return sign(head.text(), [signer])


def kept(size: int, signer: Signer = SIGNER) -> Note:
    return note_of([leaf_hash(b'[%d,"content"]' % (index + 1)) for index in range(size)], signer)


def examined(lines: Lines, trusted: tuple[Verifier, ...] = (), kept: Note | None = None) -> Report:
    examiner = Examiner(trusted, kept)
    for line in lines:
        examiner.take(line)
    return examiner.report()


def at(position: int) -> int:
    """The line of an entry: one header before it, and one block line for each 256 entries."""
    return position + (position - 1) // 256


def changed(lines: Lines, line: int, **fields: object) -> Lines:
    return [
        *lines[:line],
        msgspec.json.encode(msgspec.json.decode(lines[line]) | fields) + b"\n",
        *lines[line + 1 :],
    ]


def test_a_sound_export_passes_and_says_who_signed() -> None:
    for size in (1, 255, 256, 257, 512, SIZE):
        report = examined(built(size), (SIGNER.verifier,))
        assert (report.verdict, report.entries, report.findings) == (Verdict.OK, size, ())
        assert report.signed_by == (SIGNER.verifier.vkey(),)
        assert report.pinned


def test_without_a_pinned_key_the_report_says_so() -> None:
    report = examined(built())
    assert report.verdict is Verdict.OK
    assert not report.pinned


@pytest.mark.parametrize("position", [1, 256, 257, 500, SIZE])
def test_a_doctored_entry_is_named(position: int) -> None:
    leaf = b64encode(b'[%d,"forgery"]' % position).decode()
    report = examined(changed(built(), at(position), leaf=leaf))
    assert [(f.verdict, f.position) for f in report.findings] == [(Verdict.TAMPERED, position)]


def test_an_entry_doctored_with_its_hash_is_narrowed_down_to_its_block() -> None:
    forgery = b'[300,"forgery"]'
    fields = {"leaf": b64encode(forgery).decode(), "hash": b64encode(leaf_hash(forgery)).decode()}
    report = examined(changed(built(), at(300), **fields))
    assert report.verdict is Verdict.TAMPERED
    assert "entries 257 to 512" in report.findings[0].detail
    assert any("root" in finding.detail for finding in report.findings)


def test_the_root_finds_what_was_doctored_with_every_hash() -> None:
    lines, forged = built(), built(text=b"forgery")
    report = examined([*forged[:-1], lines[-1]])
    assert [finding.detail for finding in report.findings] == [
        "the entries do not have the root that is in the checkpoint"
    ]


@pytest.mark.parametrize(
    ("bend", "position"),
    [
        (lambda lines: lines[: at(5)] + lines[at(6) :], 5),
        (lambda lines: lines[: at(5)] + lines[at(9) :], 5),
        (lambda lines: lines[: at(SIZE)] + lines[at(SIZE) + 1 :], SIZE),
        (lambda lines: [*lines[: at(7)], lines[at(8)], lines[at(7)], *lines[at(9) :]], 7),
        (lambda lines: [*lines[: at(7)], lines[at(7)], *lines[at(7) :]], 7),
    ],
    ids=["removed", "four removed", "last removed", "swapped", "doubled"],
)
def test_a_removed_swapped_or_doubled_line_is_named(bend: Callable[[Lines], Lines], position: int) -> None:
    report = examined(bend(built()))
    assert report.verdict is Verdict.TAMPERED
    assert report.findings[0].position == position


def test_renumbering_after_a_removal_hides_nothing() -> None:
    lines = built()
    bent = lines[: at(5)] + [
        msgspec.json.encode(msgspec.json.decode(line) | {"i": msgspec.json.decode(line)["i"] - 1}) + b"\n"
        if line.startswith(b'{"i":')
        else line
        for line in lines[at(6) :]
    ]
    report = examined(bent)
    assert report.verdict is Verdict.TAMPERED
    assert report.findings[0].position == 5
    assert len(report.findings) == MOST_FINDINGS
    assert report.more_findings > 400


@pytest.mark.parametrize("count", [0, 1, 2, 300, SIZE, SIZE + 3])
def test_a_file_that_ends_too_early_is_incomplete(count: int) -> None:
    lines = built()[:count]
    assert examined(lines).verdict is (Verdict.INCOMPLETE if lines else Verdict.TAMPERED)
    if lines:
        assert examined([*lines, built()[count][:20]]).verdict is Verdict.INCOMPLETE


@pytest.mark.parametrize(
    "rubbish",
    [b"\n", b"{}\n", b'{"i":4', b'{"i":"x"}\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"\x00" * 50],
)
def test_rubbish_between_the_lines_is_tampering(rubbish: bytes) -> None:
    lines = built()
    assert examined([*lines[: at(5)], rubbish, *lines[at(5) :]]).verdict is Verdict.TAMPERED
    assert examined([*lines, rubbish]).verdict is Verdict.TAMPERED


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60) | st.sampled_from(built(3)), max_size=12))
def test_no_file_breaks_the_examiner(lines: Lines) -> None:
    report = examined(lines)
    assert report.verdict is not Verdict.OK or lines == built(3)


def test_a_stranger_cannot_sign() -> None:
    report = examined(built(signer=STRANGER), (SIGNER.verifier,))
    assert [finding.verdict for finding in report.findings] == [Verdict.UNTRUSTED]


def test_a_changed_checkpoint_is_a_forgery() -> None:
    for old, new in (("\n600\n", "\n599\n"), (ORIGIN + "\n600", "elsewhere.example\n600")):
        lines = built()
        note = msgspec.json.decode(lines[-1])["checkpoint"].replace(old, new)
        assert examined(changed(lines, -1 % len(lines), checkpoint=note)).verdict is Verdict.TAMPERED


@pytest.mark.parametrize(
    "bend",
    [
        lambda note: note.replace("\n", "\r\n"),
        lambda note: note.replace("\n600\n", "\n0600\n"),
        lambda note: note.replace("\n\n", "\nextension\n\n"),
        lambda note: note + "more\n",
        lambda note: note.partition("\n\n")[0],
    ],
    ids=["CRLF", "leading zero", "extension line", "trailing data", "unsigned"],
)
def test_a_malformed_checkpoint_is_refused(bend: Callable[[str], str]) -> None:
    lines = built()
    note = bend(msgspec.json.decode(lines[-1])["checkpoint"])
    report = examined(changed(lines, -1 % len(lines), checkpoint=note), (SIGNER.verifier,))
    assert report.verdict is Verdict.TAMPERED
    assert report.signed_by == ()


@pytest.mark.parametrize("size", [1, 255, 256, 257, 599, SIZE])
def test_a_log_that_grew_continues_the_kept_checkpoint(size: int) -> None:
    assert examined(built(), (SIGNER.verifier,), kept(size)).verdict is Verdict.OK
    assert examined(built(), kept=kept(size)).verdict is Verdict.OK


def test_a_log_rewritten_under_the_same_key_is_found() -> None:
    report = examined(built(text=b"rewritten"), (SIGNER.verifier,), kept(500))
    assert report.verdict is Verdict.TAMPERED
    assert "first 500 entries" in report.findings[0].detail


def test_a_log_whose_tail_was_cut_off_is_found() -> None:
    report = examined(built(400), (SIGNER.verifier,), kept(500))
    assert [(f.verdict, f.position) for f in report.findings] == [(Verdict.TAMPERED, 401)]


def test_a_new_key_is_not_trusted_because_the_log_publishes_it_beside_the_old_one() -> None:
    report = examined(built(signer=STRANGER, keys=(SIGNER,)), kept=kept(500))
    assert report.verdict is Verdict.UNTRUSTED


def test_a_kept_checkpoint_of_another_log_proves_nothing() -> None:
    other = Signer("other.example", bytes(range(32)))
    note = sign(Checkpoint(origin="other.example", size=1, root=bytes(32)).text(), [other])
    assert examined(built(), kept=note).verdict is Verdict.UNTRUSTED


# --- against a database ------------------------------------------------------------------------------------------


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[Connection]:
    async with await connect(dsn) as opened:
        await opened.execute(AuditLog().ddl("read").encode())
        yield opened


async def signed_log(dsn: str, connection: Connection, batches: tuple[int, ...] = (300, 300)) -> None:
    projection, done = AuditLog(), 0
    for count in batches:
        happen(dsn, count)
        await follow(connection, projection, [count], done=done)
        done += count
        await sign_once(connection, WRAPPING, ORIGIN)


async def exported(connection: Connection) -> Lines:
    return [
        line
        async for some in export_lines(DatabaseSource(connection))
        for line in some.splitlines(keepends=True)
    ]


@pytest.mark.anyio
async def test_what_the_database_exports_verifies_anywhere(dsn: str, connection: Connection) -> None:
    with pytest.raises(NothingToExport):
        await exported(connection)
    await signed_log(dsn, connection)
    [key] = await published_keys(connection)
    report = examined(await exported(connection), (parse_vkey(key.vkey),))
    assert (report.verdict, report.entries) == (Verdict.OK, SIZE)
    live = await verify_database(connection, (parse_vkey(key.vkey),))
    assert (live.verdict, live.entries, live.checkpoint) == (Verdict.OK, SIZE, report.checkpoint)


@pytest.mark.anyio
async def test_each_signed_head_is_continued_by_the_next(dsn: str, connection: Connection) -> None:
    await signed_log(dsn, connection, (1, 254, 1, 1, 43))
    lines = await exported(connection)
    notes = await (await connection.execute("select note from audit.checkpoints order by size")).fetchall()
    assert len(notes) == 5
    assert all(examined(lines, kept=parse_note(note)).verdict is Verdict.OK for (note,) in notes)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "statement",
    [
        "update stored_events set state = set_byte(state, 0, 0) where notification_id = 400",
        "update stored_events set metadata = metadata || ' ' where notification_id = 400",
        "update stored_events set recorded_at = recorded_at + interval '0.000001 second' where notification_id = 400",
        "update stored_events set topic = 'thing.undone.v1' where notification_id = 400",
        "delete from stored_events where notification_id = 400",
        "update read.audit_entry set leaf_hash = sha256('x') where position = 400",
        "update read.audit_entry set topic = 'thing.undone.v1' where position = 400",
        "delete from read.audit_entry where position = 400",
        "update read.audit_tile set hashes = overlay(hashes placing 'x' from 4577) where (level, number) = (0, 1)",
    ],
    ids=["state", "metadata", "instant", "topic", "event gone", "hash", "entry", "entry gone", "tile"],
)
async def test_one_byte_changed_by_a_superuser_is_found_and_named(
    dsn: str, database, connection: Connection, statement: str
) -> None:
    await signed_log(dsn, connection)
    superuser(database, statement)
    report = await verify_database(connection)
    assert report.verdict is Verdict.TAMPERED
    assert {finding.position for finding in report.findings} - {None} == {400}


@pytest.mark.anyio
async def test_a_deleted_tail_is_found(dsn: str, database, connection: Connection) -> None:
    await signed_log(dsn, connection)
    superuser(
        database,
        "delete from stored_events where notification_id > 590",
        "delete from read.audit_entry where position > 590",
    )
    report = await verify_database(connection)
    assert report.verdict is Verdict.TAMPERED
    assert report.findings[0].position == 591


@pytest.mark.anyio
async def test_a_checkpoint_slipped_in_is_found(dsn: str, database, connection: Connection) -> None:
    await signed_log(dsn, connection)
    superuser(database, "insert into audit.checkpoints (size, root, note) values (77, sha256('x'), 'n')")
    report = await verify_database(connection)
    assert [f.detail for f in report.findings] == ["the checkpoint of 77 entries has another root"]


@pytest.mark.anyio
async def test_an_upper_tile_that_lies_is_found(connection: Connection) -> None:
    row = b"".join(leaf_hash(b"%d" % number) for number in range(256))
    for level, width, hashes in ((1, 256, row), (2, 1, perfect_hash(row))):
        await connection.execute("insert into read.audit_tile values (%s, 0, %s, %s)", (level, width, hashes))
    assert [at async for at in wrong_tiles(connection, 1 << 16)] == []
    await connection.execute("insert into read.audit_tile values (1, 1, 256, %s)", (row[32:] + row[:32],))
    assert [at async for at in wrong_tiles(connection, 2 << 16)] == [TileAt(2, 0)]
