"""Organisations from a table: each row judged as the body of a request is, and one command on a stream of its own."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from hashlib import blake2b, sha256
from itertools import islice
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from api.commands.organisation import AddOrganisationBody, ChangeOrganisationBody
from api.problems import Problem
from api.reader import reader
from application.access import Forbidden
from application.context import Context
from application.organisation_columns import body_of
from application.ports import Answer, Key
from domain.imports.events import FILL, UPDATE, Counts
from domain.organisation.aggregate import OrganisationIsArchived, merged
from domain.organisation.commands import AddOrganisation, ChangeOrganisation
from domain.organisation.events import Details, Identifiers
from domain.organisation.guards import pairs
from domain.shared import DomainError, FieldError
from infrastructure.bootstrap import System
from infrastructure.event_store import EventTooLarge
from infrastructure.imports.file import FailedRow
from infrastructure.imports.organisation_table import OrganisationTable, Row
from infrastructure.imports.progress import SAMPLE
from infrastructure.personal_data import SubjectErased
from infrastructure.positions import Behind
from workers.imports import As, Job

BATCH = 200
"""Rows that are written at once (the design's figure): what a cancel waits for."""

Body = dict[str, Any]
Claimed = tuple[str, str]


class Judged(Struct, kw_only=True):
    """A row and what becomes of it; `left` as it is, or its organisation as that is."""

    row: int
    cells: tuple[str, ...]
    body: Body
    claims: tuple[Claimed, ...]
    verdict: Literal["added", "changed", "left", "failed"] = "left"
    organisation_id: UUID | None = None
    problems: tuple[FieldError, ...] = ()

    def fail(self, *problems: FieldError) -> None:
        self.verdict, self.problems = "failed", problems

    def failed(self) -> FailedRow:
        return FailedRow(row=self.row, cells=self.cells, problems=self.problems)


class OrganisationImport:
    """Implements workers.imports.Applier."""

    async def preview(self, job: Job) -> None:
        table = await self._table(job)
        await job.caught_up("organisation")
        progress = job.progress
        with closing(Seen(str(job.path.with_name("seen")))) as seen:
            rows = iter(table)
            while batch := await job.thread(lambda: list(islice(rows, BATCH))):
                judged, failed = _bodies(table, batch)
                await _judge(job, judged)
                await job.thread(lambda: seen.note(judged, job.about.mode))  # noqa: B023 - called at once
                shown = [each for each in judged if each.verdict in ("added", "changed")]
                for each in shown[: SAMPLE - len(progress.sample)]:
                    progress.sample.append({"row": each.row, "action": each.verdict, **each.body})
                await _told(job, len(batch), judged, failed)

    async def apply(self, job: Job, writer: As) -> None:
        table = await self._table(job)
        rows = iter(table)
        await job.thread(lambda: next(islice(rows, job.progress.processed, job.progress.processed), None))
        while batch := await job.thread(lambda: list(islice(rows, BATCH))):
            judged, failed = _bodies(table, batch)
            caller = await writer.caller()
            todo = await _not_written_before(job, judged, writer)
            while todo:
                now, todo = _apart(todo)
                await _judge(job, now)
                await asyncio.gather(
                    *(
                        _write(
                            job.system,
                            each,
                            writer,
                            writer.context(caller, str(each.row), key=_key(job, each)),
                        )
                        for each in now
                        if each.verdict in ("added", "changed")
                    )
                )
            await _told(job, len(batch), judged, failed)

    async def _table(self, job: Job) -> OrganisationTable:
        about, progress = job.about, job.progress
        table = await job.thread(lambda: OrganisationTable(job.path, about.encoding, about.columns))
        progress.format, progress.encoding = table.format, table.encoding
        progress.header, progress.columns = list(table.header), table.columns
        return table


def _bodies(table: OrganisationTable, rows: Sequence[Row]) -> tuple[list[Judged], list[FailedRow]]:
    judged: list[Judged] = []
    failed: list[FailedRow] = []
    for row in rows:
        if row.failed is not None:
            failed.append(row.failed)
            continue
        body = body_of(table.fields, row.cells)
        identifiers = Identifiers(**body.get("identifiers", {}))
        claims = tuple((each.kind, value) for each in pairs(identifiers) for value in each.values)
        judged.append(Judged(row=row.row, cells=row.cells, body=body, claims=claims))
    return judged, failed


async def _judge(job: Job, rows: Sequence[Judged]) -> None:
    """Says of each row what becomes of it."""
    claims = {claim for each in rows for claim in each.claims}
    owners = dict(
        zip(claims, await asyncio.gather(*(job.system.claims.owner(*each) for each in claims)), strict=True)
    )
    views: dict[UUID, bytes] = {}
    known = {owner for owner in owners.values() if owner is not None}
    if known and job.about.mode != FILL and await _caught_up(job):
        records = job.system.records["organisation"]
        found = await asyncio.gather(*map(records, known))
        views = {owner: each.view for owner, each in zip(known, found, strict=True) if each.version}
    for each in rows:
        _judge_one(each, {owner for claim in each.claims if (owner := owners[claim])}, views, job.about.mode)


def _judge_one(row: Judged, owners: set[UUID], views: dict[UUID, bytes], mode: str) -> None:
    if not row.claims:
        detail = "An inn (and kpp) or a siren (and nic) is needed: by them it is known whether it is there."
        row.fail(FieldError(pointer="/identifiers", code="missing", detail=detail))
    elif len(owners) > 1:
        detail = "By its inn it is one organisation in the register, by its siren another."
        row.fail(FieldError(pointer="/identifiers", code="ambiguous", detail=detail))
    elif owners and mode == FILL:
        row.verdict = "left"
    else:
        row.organisation_id = next(iter(owners), None)
        try:
            kind = ChangeOrganisationBody if owners or mode == UPDATE else AddOrganisationBody
            read = reader(kind).read(msgspec.json.encode(row.body))
        except Problem as problem:
            row.fail(*(problem.errors or (FieldError(pointer="", code=problem.code, detail=problem.detail),)))
            return
        row.body = msgspec.to_builtins(read)
        if row.organisation_id is None:
            row.verdict = "left" if mode == UPDATE else "added"
        else:
            row.verdict = "changed"
            if (view := views.get(row.organisation_id)) is not None:
                _compare(row, view)


class _View(Struct, frozen=True):
    state: str
    given_region_code: str | None = None


def _compare(row: Judged, view: bytes) -> None:
    """What the read model tells already. Its region may be one that nobody gave."""
    seen = msgspec.json.decode(view, type=_View)
    details = msgspec.json.decode(view, type=Details)
    details = msgspec.structs.replace(details, region_code=seen.given_region_code)
    if seen.state == "archived":
        refused = OrganisationIsArchived
        row.fail(FieldError(pointer="", code=refused.code, detail="It is archived, and cannot be changed."))
    elif merged(details, row.body) == details:
        row.verdict = "left"


async def _caught_up(job: Job) -> bool:
    """Whether the read model knows all that was written; if not, the commands find out by themselves."""
    try:
        await job.system.positions.reached("organisation", await job.system.log.head())
    except Behind:
        return False
    return not job.system.parked("organisation")


def _apart(rows: Sequence[Judged]) -> tuple[list[Judged], list[Judged]]:
    """Those that speak of different organisations, and those that must wait for one of them."""
    now: list[Judged] = []
    later: list[Judged] = []
    taken: set[Claimed] = set()
    for each in rows:
        (now if taken.isdisjoint(each.claims) else later).append(each)
        taken.update(each.claims)
    return now, later


def _key(job: Job, row: Judged) -> Key:
    """Under which the row's command is kept: a killed worker's successor gets the answer, and writes nothing twice."""
    digest = sha256(b"import row" + job.id.bytes + row.row.to_bytes(8, "big")).digest()
    return Key(digest=digest, fingerprint=digest)


async def _not_written_before(job: Job, rows: Sequence[Judged], writer: As) -> list[Judged]:
    """Without those that an attempt before this one has written."""
    kept = await asyncio.gather(*(job.system.store.kept(_key(job, each)) for each in rows))
    for each, answered in zip(rows, kept, strict=True):
        if answered is not None:
            _note(each, answered.answer, writer)
    return [each for each, answered in zip(rows, kept, strict=True) if answered is None]


async def _write(system: System, row: Judged, writer: As, context: Context) -> None:
    organisations = system.bulk.organisations
    try:
        if row.organisation_id is None:
            answer = await organisations.add(msgspec.convert(row.body, AddOrganisation), context)
        else:
            change = ChangeOrganisation(changes=row.body)
            answer = await organisations.change(row.organisation_id, change, context)
    except DomainError as refused:
        row.fail(*(refused.errors or (FieldError(pointer="", code=refused.code, detail=refused.detail),)))
    except Forbidden as refused:
        row.fail(FieldError(pointer="", code=refused.code, detail=refused.detail))
    except (EventTooLarge, SubjectErased) as refused:
        detail = "It is too large to be kept." if isinstance(refused, EventTooLarge) else "It was erased."
        row.fail(FieldError(pointer="", code="not_kept", detail=detail))
    else:
        assert isinstance(answer, Answer)
        _note(row, answer, writer)


def _note(row: Judged, answer: Answer, writer: As) -> None:
    """A command that found nothing to do is answered with the position of the record's last event."""
    if answer.status == 201:
        row.verdict = "added"
    else:
        row.verdict = "changed" if answer.position > writer.began_at else "left"


async def _told(job: Job, rows: int, judged: Sequence[Judged], failed: list[FailedRow]) -> None:
    failed = sorted(
        [*failed, *(each.failed() for each in judged if each.verdict == "failed")], key=lambda each: each.row
    )
    progress = job.progress
    progress.processed += rows
    verdicts = [each.verdict for each in judged]
    progress.counts += Counts(
        added=verdicts.count("added"), changed=verdicts.count("changed"), unchanged=verdicts.count("left")
    )
    progress.note(failed)
    await job.keep(failed)


class Seen:
    """Which organisations the file has spoken of, on disk: a table of any length takes no memory."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("pragma journal_mode = off")
        self._db.execute("pragma synchronous = off")
        self._db.execute("create table seen (claim text primary key, body blob) without rowid")

    def note(self, rows: Sequence[Judged], mode: str) -> None:
        """A row whose organisation an earlier one adds does not add it again."""
        for row in rows:
            if row.verdict in ("added", "changed"):
                body = blake2b(msgspec.json.encode(row.body, order="deterministic"), digest_size=16).digest()
                before = {found for claim in row.claims for found in self._of("\n".join(claim), body)}
                if before:
                    row.verdict = "left" if mode == FILL or before == {body} else "changed"

    def _of(self, claim: str, body: bytes) -> Iterator[bytes]:
        found = self._db.execute("select body from seen where claim = ?", (claim,)).fetchone()
        self._db.execute("insert or replace into seen values (?, ?)", (claim, body))
        if found is not None:
            yield found[0]

    def close(self) -> None:
        self._db.close()
