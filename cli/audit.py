"""`chancery audit`: take the log away, verify it anywhere, prove one entry."""

import asyncio
import os
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

import httpx
import msgspec
import psycopg
import rich_click as click
from click import get_current_context
from msgspec import structs
from rich.console import Console
from rich.progress import Progress

from application.access import Need
from application.access import system as the_system
from application.context import Context
from cli.options import pass_settings
from domain.audit_key.aggregate import AUDIT_KEY, AUDIT_KEYS
from domain.audit_key.commands import RotateAuditKey
from infrastructure.audit.export import (
    DatabaseSource,
    HttpSource,
    NothingToExport,
    Source,
    export_lines,
)
from infrastructure.audit.form import LONGEST_LINE, checkpoint_of
from infrastructure.audit.keys import Succession, succeed
from infrastructure.audit.live import verify_database
from infrastructure.audit.proof import NotProved, check, prove
from infrastructure.audit.report import Report, Verdict
from infrastructure.audit.signed_note import Forged, Note, Untrusted, Verifier, parse_note, parse_vkey
from infrastructure.audit.verify import Examiner
from infrastructure.bootstrap import running
from infrastructure.postgres import TIMEOUTS, connect
from infrastructure.settings import Settings
from projections.proofs import Malformed

T = TypeVar("T")
TOKEN = "CHANCERY_TOKEN"  # noqa: S105 (the name of a variable)
SHOWN = 20
"""Findings that are printed; all are counted."""

url_option = click.option(
    "--url", metavar="URL", help=f"A running server instead of the database; its token comes from {TOKEN}."
)
key_option = click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="VKEY",
    help="A key of the log that you trust, as it publishes it.",
)


@click.group("audit")
def command() -> None:
    """Take the log away, verify it anywhere, prove one entry.

    Exit codes: 0 ok, 2 tampered, 3 incomplete, 4 untrusted key.
    """


@command.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@url_option
@pass_settings
def export(settings: Settings, file: Path, url: str | None) -> None:
    """Write the whole log, up to its newest signed checkpoint, to FILE as NDJSON."""
    count = _run(_export(settings, file, url))
    click.echo(f"{count} entries in {file}")


@command.command("verify")
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--live", is_flag=True, help="The database, or the server at --url, instead of an export.")
@url_option
@key_option
@click.option("--checkpoint", type=click.File("rb"), help="The checkpoint kept last time.")
@click.option(
    "--keep", type=click.Path(dir_okay=False, path_type=Path), help="Where to keep this one for next time."
)
@pass_settings
def verify(
    settings: Settings,
    file: BinaryIO | None,
    *,
    live: bool,
    url: str | None,
    keys: tuple[str, ...],
    checkpoint: BinaryIO | None,
    keep: Path | None,
) -> None:
    """Check FILE, an export: every hash, the root, the signature, and that it continues the kept checkpoint."""
    if live == (file is not None):
        raise click.UsageError("give an export FILE, or --live")
    trusted, kept = _trusted(keys), _kept(checkpoint)
    if file is None:
        report = _run(_verify_live(settings, url, trusted, kept))
    else:
        examiner = Examiner(trusted, kept)
        for line in _lines(file):
            examiner.take(line)
        report = examiner.report()
    _show(report)
    if keep is not None and report.verdict is Verdict.OK and report.note is not None:
        keep.write_text(report.note, encoding="utf-8")
    get_current_context().exit(int(report.verdict))


@command.command("prove")
@click.argument("position", type=click.IntRange(min=1))
@click.argument("file", type=click.File("rb"))
@key_option
def prove_entry(position: int, file: BinaryIO, keys: tuple[str, ...]) -> None:
    """Print the proof (c2sp.org/tlog-proof@v1) that entry POSITION is in the log, out of FILE, an export."""
    try:
        leaf, proof = prove(_lines(file), position)
        trusted = _trusted(keys)
        if trusted:
            check(proof.text(), leaf, trusted)
    except (NothingToExport, msgspec.MsgspecError) as reason:
        _fail(str(reason), Verdict.INCOMPLETE)
    except Untrusted as reason:
        _fail(str(reason), Verdict.UNTRUSTED)
    except (Forged, Malformed, NotProved) as reason:
        _fail(str(reason), Verdict.TAMPERED)
    click.echo(proof.text(), nl=False)


@command.command("rotate-key")
@click.option(
    "--overlap", type=click.IntRange(0, 730), default=30, show_default=True, help="Days that both keys sign."
)
@pass_settings
def rotate_key(settings: Settings, overlap: int) -> None:
    """Sign checkpoints with another key from now on, beside the one before, so that who pinned that one can follow."""
    succession = _run(_rotate_key(settings, timedelta(days=overlap)))
    click.echo(f"signs from now on: {succession.vkey}")
    for vkey in succession.follows:
        click.echo(f"signs beside it until {succession.until:%Y-%m-%d %H:%M} UTC: {vkey}")


async def _rotate_key(settings: Settings, overlap: timedelta) -> Succession:
    async with running(settings, name="audit") as system:
        async with system.pool.connection() as connection:
            succession = await succeed(connection, system.wrapping, overlap)
        if succession is None:
            raise click.ClickException("The log has no key yet; `chancery work` makes the first.")
        rotation = RotateAuditKey(**structs.asdict(succession))
        context = Context(caller=the_system(), request_id="chancery audit rotate-key")
        await system.execute(AUDIT_KEY, AUDIT_KEYS, rotation, context, Need(right=None), upsert=True)
        return succession


async def _export(settings: Settings, file: Path, url: str | None) -> int:
    part = file.with_name(file.name + ".part")
    count = 0
    async with _source(settings, url) as source:
        size = checkpoint_of(await source.checkpoint()).size
        with part.open("wb") as out, Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("entries", total=size)
            async for lines in export_lines(source):
                out.write(lines)
                count += lines.count(b'{"i":')
                progress.update(task, completed=count)
    part.replace(file)
    return count


async def _verify_live(
    settings: Settings, url: str | None, trusted: tuple[Verifier, ...], kept: Note | None
) -> Report:
    if url is None:
        async with _database(settings) as connection:
            return await verify_database(connection, trusted, kept)
    examiner = Examiner(trusted, kept)
    async with _source(settings, url) as source:
        async for lines in export_lines(source):
            for line in lines.splitlines(keepends=True):
                examiner.take(line)
    return examiner.report()


@asynccontextmanager
async def _source(settings: Settings, url: str | None) -> AsyncGenerator[Source]:
    if url is None:
        async with _database(settings) as connection:
            yield DatabaseSource(connection)
        return
    token = os.environ.get(TOKEN, "")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(
        base_url=f"{url.rstrip('/')}/api/v1/audit/", headers=headers, timeout=30
    ) as client:
        yield HttpSource(client)


@asynccontextmanager
async def _database(settings: Settings) -> AsyncGenerator[psycopg.AsyncConnection[Any]]:
    if not settings.database_url:
        _fail(
            "There is no database: start `chancery up`, set DATABASE_URL, or give --url.", Verdict.INCOMPLETE
        )
    async with await connect(settings.database_url, options=TIMEOUTS, name="chancery audit") as connection:
        yield connection


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except NothingToExport as reason:
        _fail(str(reason), Verdict.INCOMPLETE)
    except Malformed as reason:
        _fail(f"the checkpoint cannot be read: {reason}", Verdict.TAMPERED)
    except (httpx.HTTPError, psycopg.Error) as reason:
        _fail(str(reason).strip(), Verdict.INCOMPLETE)


def _fail(message: str, verdict: Verdict) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    get_current_context().exit(int(verdict))


def _lines(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.readline(LONGEST_LINE), b"")


def _trusted(keys: tuple[str, ...]) -> tuple[Verifier, ...]:
    try:
        return tuple(parse_vkey(key) for key in keys)
    except Malformed as reason:
        raise click.BadParameter(f"not a verifier key: {reason}", param_hint="--key") from None


def _kept(file: BinaryIO | None) -> Note | None:
    try:
        return None if file is None else parse_note(file.read())
    except Malformed as reason:
        raise click.BadParameter(f"not a signed checkpoint: {reason}", param_hint="--checkpoint") from None


def _show(report: Report) -> None:
    for finding in report.findings[:SHOWN]:
        place = "" if finding.position is None else f"entry {finding.position}: "
        click.echo(f"{finding.verdict.name.lower()}: {place}{finding.detail}")
    if left := len(report.findings) - SHOWN + report.more_findings:
        click.echo(f"... and {left} more findings" if left > 0 else "", nl=left > 0)
    if report.verdict is Verdict.OK and report.checkpoint is not None:
        for key in report.signed_by:
            click.echo(
                f"signed by {key}" + ("" if report.pinned else " (its own word: pin the key with --key)")
            )
        click.echo(f"ok: {report.entries} entries under the signed root of {report.checkpoint.origin}")
    else:
        first = next((f for f in report.findings if f.verdict is report.verdict), None)
        named = f", first at entry {first.position}" if first and first.position else ""
        click.echo(f"{report.verdict.name}: {len(report.findings) + report.more_findings} finding(s){named}")
