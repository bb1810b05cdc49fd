"""What the commands of an auditor share: where the log comes from, whom he trusts, and how a finding is told."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, BinaryIO, NoReturn, TypeVar

import httpx
import msgspec
import psycopg
import rich_click as click
from click import get_current_context

from infrastructure.audit.export import DatabaseSource, HttpSource, NothingToExport, Source
from infrastructure.audit.export_file import Busy
from infrastructure.audit.form import LONGEST_LINE
from infrastructure.audit.report import Report, Verdict
from infrastructure.audit.selected import Backwards
from infrastructure.audit.signed_note import Note, Verifier, parse_note, parse_vkey
from infrastructure.event_codec import UnknownTopic
from infrastructure.postgres import TIMEOUTS, connect
from infrastructure.settings import Settings
from projections.leaf import NotABundle
from projections.proofs import Malformed

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
TOKEN = "AUDIT_TOKEN"  # noqa: S105 (the name of a variable)
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
kept_option = click.option(
    "--checkpoint", "kept", type=click.File("rb"), help="The checkpoint kept last time."
)


def run(work: Coroutine[Any, Any, T]) -> T:
    """The work's result; what is wrong with its source ends the command with the exit code that says so."""
    try:
        return asyncio.run(work)
    except (NothingToExport, Backwards, Busy, OSError) as reason:
        fail(str(reason), Verdict.INCOMPLETE)
    except Malformed as reason:
        fail(f"the checkpoint cannot be read: {reason}", Verdict.TAMPERED)
    except (NotABundle, msgspec.MsgspecError) as reason:
        fail(f"an entry cannot be read: {reason}", Verdict.TAMPERED)
    except UnknownTopic as reason:
        fail(f"this version does not know an event: {reason}", Verdict.INCOMPLETE)
    except (httpx.HTTPError, psycopg.Error) as reason:
        fail(str(reason).strip(), Verdict.INCOMPLETE)


def fail(message: str, verdict: Verdict) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    get_current_context().exit(int(verdict))


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.readline(LONGEST_LINE), b"")


def trusted_keys(keys: tuple[str, ...]) -> tuple[Verifier, ...]:
    try:
        return tuple(parse_vkey(key) for key in keys)
    except Malformed as reason:
        raise click.BadParameter(f"not a verifier key: {reason}", param_hint="--key") from None


def kept_note(file: BinaryIO | None) -> Note | None:
    try:
        return None if file is None else parse_note(file.read())
    except Malformed as reason:
        raise click.BadParameter(f"not a signed checkpoint: {reason}", param_hint="--checkpoint") from None


@asynccontextmanager
async def source_of(settings: Settings, url: str | None) -> AsyncGenerator[Source]:
    """The log in the database that the settings name, or of the server at `url`."""
    if url is None:
        async with database(settings) as connection:
            yield DatabaseSource(connection)
        return
    token = os.environ.get(TOKEN, "")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(
        base_url=f"{url.rstrip('/')}/api/v1/audit/", headers=headers, timeout=30
    ) as client:
        yield HttpSource(client)


@asynccontextmanager
async def database(settings: Settings) -> AsyncGenerator[psycopg.AsyncConnection[Any]]:
    if not settings.database_url:
        fail(
            "There is no database: start `chancery up`, set DATABASE_URL, or give --url.", Verdict.INCOMPLETE
        )
    async with await connect(settings.database_url, options=TIMEOUTS, name="chancery audit") as connection:
        yield connection


def show(report: Report) -> None:
    """What was found; and, of a selection, that it is one."""
    for finding in report.findings[:SHOWN]:
        place = "" if finding.position is None else f"entry {finding.position}: "
        click.echo(f"{finding.verdict.name.lower()}: {place}{finding.detail}")
    if left := max(0, len(report.findings) - SHOWN) + report.more_findings:
        click.echo(f"... and {left} more findings")
    if report.verdict is Verdict.OK and report.checkpoint is not None:
        _show_sound(report)
    else:
        first = next((f for f in report.findings if f.verdict is report.verdict), None)
        named = f", first at entry {first.position}" if first and first.position else ""
        click.echo(f"{report.verdict.name}: {len(report.findings) + report.more_findings} finding(s){named}")


def _show_sound(report: Report) -> None:
    assert report.checkpoint is not None
    for key in report.signed_by:
        click.echo(f"signed by {key}" + ("" if report.pinned else " (its own word: pin the key with --key)"))
    origin, chosen = report.checkpoint.origin, report.selection
    if chosen is not None:
        click.echo(f"a selection out of {report.checkpoint.size} entries: {chosen}")
        click.echo(
            "what fits and is not in it nobody can see here: only a whole export shows that nothing is left out"
            if chosen.filtered
            else "every entry of that range is in it; what lies before and after is not"
        )
    click.echo(f"ok: {report.entries} entries under the signed root of {origin}")
