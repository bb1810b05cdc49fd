"""A part of the log as a file: any selection verifies, in both verifiers, and any change of one byte is caught."""

import asyncio
import contextlib
import csv
import hashlib
import importlib.util
import io
import itertools
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.contract.events import ContractArchived
from domain.organisation.events import OrganisationArchived
from domain.user.events import UserUnblocked
from infrastructure.audit.export import NothingToExport, export_lines
from infrastructure.audit.export_file import Busy, write_export
from infrastructure.audit.proof import check, prove
from infrastructure.audit.readable import write_readable
from infrastructure.audit.report import Report, Verdict
from infrastructure.audit.selected import Asked, Backwards
from infrastructure.audit.selection import Selection
from infrastructure.audit.signed_note import Signer, parse_note, sign
from infrastructure.audit.verify_file import examined
from projections.leaf import stored_of
from tests.auditing import BEGAN, LogInMemory, happened

SIZE = 700
ORIGIN = "chancery.example/audit/1"
SIGNER, STRANGER = Signer(ORIGIN, bytes(range(32))), Signer(ORIGIN, bytes(32))
PEOPLE = [UUID(int=number) for number in (7, 8, 9)]
RECORDS = [UUID(int=number) for number in range(100, 113)]
FACTS = (OrganisationArchived(reason="gone"), ContractArchived(), UserUnblocked(role="user"))
LEAVES = happened(itertools.islice(itertools.cycle(FACTS), SIZE), PEOPLE, RECORDS)
LOG = LogInMemory(SIGNER, LEAVES)
WHOLE = Asked()
VERIFIER = Path(__file__).parents[2] / "docs" / "verify" / "verify_export.py"


def published():
    """The verifier of the docs."""
    spec = importlib.util.spec_from_file_location("verify_export", VERIFIER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


THEIRS = published()
PATIENT = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
"""The same examples each time, however busy the machine is."""


def write(file: Path, asked: Asked = WHOLE, log: LogInMemory = LOG):
    return asyncio.run(write_export(log, asked, file, lambda at, end: None))


def asked_for(first: int | None = None, last: int | None = None, **filters) -> Asked:
    return Asked(filters=Selection(**filters), first=first, last=last)


def written(folder: Path, asked: Asked, log: LogInMemory = LOG) -> list[bytes]:
    file = folder / "selection.ndjson"
    write(file, asked, log)
    return file.read_bytes().splitlines(keepends=True)


def judged(lines: list[bytes], kept: str | None = None, trusted: Signer | None = SIGNER) -> Report:
    """What our verifier says; the published one must come to the same."""
    keys = () if trusted is None else (trusted.verifier,)
    report = examined(lines, keys, None if kept is None else parse_note(kept))
    before = None if kept is None else THEIRS.Checkpoint.of(kept)
    findings = THEIRS.Findings([THEIRS.Key.of(key.vkey()) for key in keys], before)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = THEIRS.examined(lines, findings)
    assert code == report.verdict, (report.findings, said.getvalue())
    return report


def respelled(line: bytes, **fields) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(line) | fields) + b"\n"


selections = st.builds(
    lambda ends, **filters: Asked(
        filters=Selection(**{name: tuple(values) for name, values in filters.items()}),
        first=min(ends),
        last=max(ends),
    ),
    st.tuples(st.integers(1, SIZE), st.integers(1, SIZE)),
    topic=st.lists(
        st.sampled_from(["contract", "contract.archived", "user.unblocked.v1", "con"]), max_size=2
    ),
    subject=st.lists(st.sampled_from(RECORDS), max_size=3),
    actor=st.lists(st.sampled_from(PEOPLE), max_size=2),
    request=st.lists(st.sampled_from(["r1", "r5"]), max_size=2),
    allowed_by=st.lists(st.sampled_from(["role:0", "role:2"]), max_size=2),
)


def fitting(asked: Asked) -> list[int]:
    """The positions that were asked for, told from how the log was made."""
    wanted = asked.filters
    assert isinstance(asked.first, int)
    assert isinstance(asked.last, int)
    return [
        position
        for position in range(asked.first, asked.last + 1)
        if (index := position - 1) >= 0
        and (not wanted.topic or any(f"{FACTS[index % 3].TOPIC}.".startswith(f"{t}.") for t in wanted.topic))
        and (not wanted.subject or RECORDS[index % 13] in wanted.subject)
        and (not wanted.actor or PEOPLE[index % 3] in wanted.actor)
        and (not wanted.request or f"r{index % 11}" in wanted.request)
        and (not wanted.allowed_by or f"role:{index % 3}" in wanted.allowed_by)
    ]


@settings(PATIENT, max_examples=40)
@given(asked=selections, data=st.data())
def test_any_selection_verifies_and_any_changed_byte_is_caught(tmp_path_factory, asked, data):
    lines = written(tmp_path_factory.mktemp("selection"), asked)
    report = judged(lines)
    assert (report.verdict, report.findings) == (Verdict.OK, ())
    found = [stored_of(msgspec.json.decode(line, type=Entry).leaf).position for line in lines[1:-1]]
    assert found == fitting(asked)
    assert report.selection == msgspec.structs.replace(asked.filters, first=asked.first, last=asked.last)
    whole = b"".join(lines)
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    bent = whole[:at] + bytes([other]) + whole[at + 1 :]
    assert judged(bent.splitlines(keepends=True)).verdict is not Verdict.OK


class Entry(msgspec.Struct):
    leaf: bytes


@settings(PATIENT, max_examples=60)
@given(data=st.data())
def test_any_changed_byte_of_a_whole_export_is_caught(tmp_path_factory, data):
    whole = b"".join(written(tmp_path_factory.mktemp("whole"), WHOLE, LogInMemory(SIGNER, LEAVES[:300])))
    assert judged(whole.splitlines(keepends=True)).verdict is Verdict.OK
    at = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    bent = whole[:at] + bytes([other]) + whole[at + 1 :]
    assert judged(bent.splitlines(keepends=True)).verdict is not Verdict.OK


def test_instants_are_found_in_the_log(tmp_path):
    first, last = BEGAN + timedelta(seconds=299.5), BEGAN + timedelta(seconds=310)
    report = judged(written(tmp_path, Asked(first=first, last=last)))
    assert report.selection == Selection(first=301, last=311)
    assert report.entries == 11
    with pytest.raises(NothingToExport):
        write(tmp_path / "empty", Asked(first=BEGAN + timedelta(days=1)))
    assert not (tmp_path / "empty").exists()


@pytest.mark.parametrize(
    ("bend", "position"),
    [
        (lambda lines: [*lines[:5], *lines[6:]], 104),
        (lambda lines: [*lines[:5], *lines[9:]], 104),
        (lambda lines: [*lines[:-2], lines[-1]], 200),
        (lambda lines: [lines[0], *lines[2:]], 100),
        (lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]], 104),
        (lambda lines: [*lines[:5], lines[5], *lines[5:]], 104),
    ],
    ids=["removed", "four removed", "the tail", "the head", "swapped", "doubled"],
)
def test_a_range_with_a_gap_is_named(tmp_path, bend: Callable[[list[bytes]], list[bytes]], position):
    report = judged(bend(written(tmp_path, asked_for(100, 200))))
    assert report.verdict is Verdict.TAMPERED
    assert report.findings[0].position == position


def test_a_doctored_line_is_named_even_when_the_digest_was_made_again(tmp_path):
    lines = written(tmp_path, asked_for(100, 200))
    forged = LEAVES[149].replace(b"user.unblocked", b"user.reblocked")
    assert forged != LEAVES[149]
    bent = [*lines[:51], respelled(lines[51], leaf=base64(forged)), *lines[52:-1]]
    report = judged([*bent, end_of(bent)])
    assert [(each.verdict, each.position) for each in report.findings] == [(Verdict.TAMPERED, 150)]


def base64(raw: bytes) -> str:
    return msgspec.json.decode(msgspec.json.encode(raw), type=str)


def end_of(lines: list[bytes]) -> bytes:
    """A last line that fits: what an adversary would write."""
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    return msgspec.json.encode({"entries": len(lines) - 1, "sha256": digest}) + b"\n"


def test_what_was_not_asked_for_does_not_slip_in(tmp_path):
    lines = written(tmp_path, asked_for(topic=("contract",)))
    strange = written(tmp_path, asked_for(2, 3))
    bent = [*lines[:2], strange[2], *lines[2:-1]]
    report = judged([*bent, end_of(bent)])
    assert [(each.verdict, each.position) for each in report.findings] == [(Verdict.TAMPERED, 3)]
    assert "not among what was selected" in report.findings[0].detail


def test_an_entry_moved_under_another_index_proves_nothing(tmp_path):
    lines = written(tmp_path, asked_for(topic=("contract",)))
    bent = [lines[0], respelled(lines[1], i=2), *lines[2:-1]]
    assert judged([*bent, end_of(bent)]).findings[0].position == 3


def test_a_selection_cut_off_is_incomplete(tmp_path):
    lines = written(tmp_path, asked_for(100, 200))
    assert judged(lines[:40]).verdict is Verdict.INCOMPLETE
    assert judged([*lines[:40], lines[40][:50]]).verdict is Verdict.INCOMPLETE
    assert judged(lines[:1]).verdict is Verdict.INCOMPLETE
    assert judged([*lines, lines[5]]).verdict is Verdict.TAMPERED


def test_a_selection_signed_by_another_key_is_untrusted(tmp_path):
    lines = written(tmp_path, asked_for(100, 200), LogInMemory(STRANGER, LEAVES))
    assert judged(lines).verdict is Verdict.UNTRUSTED
    assert judged(lines, trusted=None).verdict is Verdict.OK
    assert not judged(lines, trusted=None).pinned
    assert judged(lines, trusted=STRANGER).verdict is Verdict.OK


def test_while_two_keys_sign_no_signature_of_either_may_be_wrong():
    """Also that of the key which the auditor has not pinned."""
    lines = whole_of(LEAVES[:20])
    told = msgspec.json.decode(lines[-1])
    text = parse_note(told["checkpoint"]).text
    told |= {
        "checkpoint": str(sign(text, [SIGNER, STRANGER])),
        "keys": [*told["keys"], STRANGER.verifier.vkey()],
    }
    assert judged([*lines[:-1], respelled(lines[-1], **told)]).verdict is Verdict.OK
    note = told["checkpoint"]
    second = note.rindex(" ") + 1
    for at in range(second, len(note) - 1):
        bent = note[:at] + ("A" if note[at] != "A" else "B") + note[at + 1 :]
        report = judged([*lines[:-1], respelled(lines[-1], **told | {"checkpoint": bent})])
        assert report.verdict is Verdict.TAMPERED, bent
    told["keys"].pop()
    assert judged([*lines[:-1], respelled(lines[-1], **told)]).verdict is Verdict.TAMPERED


def whole_of(leaves: list[bytes]) -> list[bytes]:
    async def lines() -> list[bytes]:
        parts = [part async for part in export_lines(LogInMemory(SIGNER, leaves))]
        return b"".join(parts).splitlines(keepends=True)

    return asyncio.run(lines())


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 512, 640, 699, SIZE])
def test_a_selection_shows_that_the_log_continues_the_kept_checkpoint(tmp_path, size):
    kept = LOG.signed(size)
    lines = written(tmp_path, Asked(first=650, kept=kept))
    assert judged(lines, kept).verdict is Verdict.OK
    assert judged(lines, kept, trusted=None).verdict is Verdict.OK
    forked = LogInMemory(SIGNER, happened([UserUnblocked(role="user")] * SIZE, PEOPLE, RECORDS)).signed(size)
    report = judged(lines, forked)
    assert report.verdict is Verdict.TAMPERED
    assert f"first {size} entries" in report.findings[0].detail


def test_what_a_selection_does_not_show_of_the_kept_checkpoint_is_said(tmp_path):
    lines = written(tmp_path, asked_for(100, 200))
    assert judged(lines, LOG.signed(SIZE)).verdict is Verdict.OK
    assert judged(lines, LOG.signed(500)).verdict is Verdict.INCOMPLETE
    shorter = written(tmp_path, asked_for(100, 200), LogInMemory(SIGNER, LEAVES[:300]))
    assert judged(shorter, LOG.signed(500)).verdict is Verdict.TAMPERED
    for signer, note in ((Signer("other.example", bytes(32)), LEAVES), (SIGNER, LEAVES[:300])):
        asked = Asked(first=1, kept=LogInMemory(signer, note).note)
        with pytest.raises(Backwards):
            write(tmp_path / "none", asked, LogInMemory(SIGNER, LEAVES[:200]))


@settings(PATIENT)
@given(
    st.lists(
        st.binary(max_size=60) | st.sampled_from([b'{"format":"chancery-audit-selection@v1"}\n']), max_size=8
    )
)
def test_no_file_breaks_either_verifier(lines):
    assert judged([line for line in lines if line]).verdict is not Verdict.OK


def test_an_entry_of_a_selection_has_its_proof(tmp_path):
    lines = written(tmp_path, asked_for(topic=("contract",), last=600))
    for position in (2, 257, 599):
        leaf, proof = prove(lines, position)
        assert leaf == LEAVES[position - 1]
        assert check(proof.text(), leaf, [SIGNER.verifier]).size == SIZE
        assert proof == prove(written(tmp_path, WHOLE), position).proof
    with pytest.raises(NothingToExport):
        prove(lines, 3)


# --- interrupted -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [WHOLE, asked_for(2, 699), asked_for(actor=(PEOPLE[1],))])
def test_an_interrupted_export_goes_on_and_is_the_same_to_the_byte(tmp_path, asked):
    file, straight = tmp_path / "log.ndjson", tmp_path / "straight.ndjson"
    write(straight, asked)
    log = LogInMemory(SIGNER, LEAVES)
    log.fails_at = 2
    with pytest.raises(ConnectionResetError):
        write(file, asked, log)
    assert not file.exists()
    with (tmp_path / "log.ndjson.part").open("ab") as part:
        part.write(b'{"i":512,"leaf":"half a li')
    log.fails_at, log.served = None, 0
    entries, resumed = write(file, asked, log)
    assert resumed > 100
    assert log.served <= 2, "what it had was not fetched again"
    assert file.read_bytes() == straight.read_bytes()
    assert entries == judged(file.read_bytes().splitlines(keepends=True)).entries
    assert {each.name for each in tmp_path.iterdir()} == {"log.ndjson", "straight.ndjson"}


def test_it_goes_on_with_the_checkpoint_it_began_with(tmp_path):
    log = LogInMemory(SIGNER, LEAVES[:600])
    log.fails_at = 1
    file = tmp_path / "log.ndjson"
    with pytest.raises(ConnectionResetError):
        write(file, WHOLE, log)
    assert write(file, WHOLE, LOG) == (600, 256)
    assert judged(file.read_bytes().splitlines(keepends=True)).entries == 600


@pytest.mark.parametrize(
    ("bend", "asked"),
    [
        (lambda part: part.replace(b'{"i":99,', b'{"i":98,'), WHOLE),
        (lambda part: part[:50], WHOLE),
        (lambda part: b"", WHOLE),
        (lambda part: part, asked_for(1, 300)),
    ],
    ids=["doctored", "hardly begun", "empty", "another request"],
)
def test_what_cannot_be_gone_on_with_is_begun_anew(tmp_path, bend, asked):
    file, log = tmp_path / "log.ndjson", LogInMemory(SIGNER, LEAVES)
    log.fails_at = 2
    with pytest.raises(ConnectionResetError):
        write(file, WHOLE, log)
    part = tmp_path / "log.ndjson.part"
    part.write_bytes(bend(part.read_bytes()))
    assert write(file, asked).resumed == 0
    assert judged(file.read_bytes().splitlines(keepends=True)).verdict is Verdict.OK


@pytest.mark.parametrize(
    "other",
    [
        LogInMemory(Signer("other.example", bytes(32)), LEAVES),
        LogInMemory(SIGNER, LEAVES[:600]),
        LogInMemory(
            SIGNER, [*LEAVES[:600], *happened([UserUnblocked(role="user")] * 900, PEOPLE, RECORDS)[600:]]
        ),
    ],
    ids=["another name", "an earlier state", "a fork"],
)
def test_another_log_is_begun_anew(tmp_path, other):
    file, log = tmp_path / "log.ndjson", LogInMemory(SIGNER, LEAVES)
    log.fails_at = 2
    with pytest.raises(ConnectionResetError):
        write(file, WHOLE, log)
    assert write(file, WHOLE, other) == (len(other.entries), 0)
    (tmp_path / "log.ndjson.part.order").write_bytes(b'{"asked":{},"order":{"checkpoint":"","keys":[]}}')
    assert write(file, WHOLE, other) == (len(other.entries), 0)


def test_two_do_not_write_to_one_file(tmp_path):
    async def both():
        file = tmp_path / "log.ndjson"
        one = write_export(LOG, WHOLE, file, lambda at, end: None)

        class Meanwhile(LogInMemory):
            async def leaves(self, number, width):
                with pytest.raises(Busy):
                    await one
                return await super().leaves(number, width)

        small = Meanwhile(SIGNER, LEAVES[:100])
        return await write_export(small, WHOLE, file, lambda at, end: None)

    assert asyncio.run(both()).entries == 100


# --- for other programs ------------------------------------------------------------------------------------------


def readable(folder: Path, form: str, asked: Asked = WHOLE, log: LogInMemory = LOG) -> bytes:
    file = folder / form
    asyncio.run(write_readable(log, asked, file, form, lambda at, end: None))
    assert {each.name for each in folder.iterdir()} == {form}
    return file.read_bytes()


def test_entries_are_a_table_for_spreadsheets(tmp_path):
    harmful = LogInMemory(SIGNER, happened([OrganisationArchived(reason='=1+1","x')], PEOPLE, RECORDS))
    (row,) = csv.DictReader(io.StringIO(readable(tmp_path, "csv", log=harmful).decode("utf-8-sig")))
    assert (row["position"], row["topic"], row["actor.id"]) == (
        "1",
        "organisation.archived.v1",
        str(PEOPLE[0]),
    )
    assert msgspec.json.decode(row["data"]) == {"reason": '=1+1","x'}
    assert (row["request_id"], row["allowed_by"], row["address"]) == ("r0", "role:0", "")
    rows = list(csv.DictReader(io.StringIO(readable(tmp_path, "csv").decode("utf-8-sig"))))
    assert [int(each["position"]) for each in rows] == list(range(1, SIZE + 1))
    contracts = readable(tmp_path, "csv", asked_for(1, 100, topic=("contract",)))
    assert contracts.count(b"contract.archived.v1") == contracts.count(b"\r\n") - 1 == 33


def test_entries_are_cloud_events(tmp_path):
    events = [msgspec.json.decode(line) for line in readable(tmp_path, "cloudevents").splitlines()]
    assert [each["sequence"] for each in events] == [str(position) for position in range(1, SIZE + 1)]
    first = events[0]
    assert (first["specversion"], first["type"], first["id"]) == (
        "1.0",
        "organisation.archived.v1",
        str(UUID(int=1)),
    )
    assert first["source"] == f"//{ORIGIN}/streams/{RECORDS[0]}"
    assert (first["time"], first["subject"]) == ("2026-03-01T00:00:00Z", str(RECORDS[0]))
    assert (first["data"], first["allowedby"]) == ({"reason": "gone"}, "role:0")
    assert all(name.isalnum() and name.islower() for each in events for name in each)
