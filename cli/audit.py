"""`chancery audit`: take the log away, verify it anywhere, prove, replay and compare what is in it."""

from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import msgspec
import rich_click as click
from click import get_current_context
from msgspec import structs

from application.access import Need
from application.access import system as the_system
from application.context import Context
from cli.audit_certificate import certificate
from cli.audit_diff import diff
from cli.audit_export import export
from cli.audit_replay import replay
from cli.auditing import (
    database,
    fail,
    kept_note,
    kept_option,
    key_option,
    lines_of,
    run,
    show,
    source_of,
    trusted_keys,
    url_option,
)
from cli.options import pass_settings
from domain.audit_key.aggregate import AUDIT_KEY, AUDIT_KEYS
from domain.audit_key.commands import RotateAuditKey
from infrastructure.audit.export import NothingToExport, export_lines
from infrastructure.audit.keys import Succession, succeed
from infrastructure.audit.live import verify_database
from infrastructure.audit.proof import NotProved, check, prove
from infrastructure.audit.report import Report, Verdict
from infrastructure.audit.signed_note import Forged, Note, Untrusted, Verifier
from infrastructure.audit.verify import Examiner
from infrastructure.audit.verify_file import examined
from infrastructure.bootstrap import running
from infrastructure.settings import Settings
from projections.proofs import Malformed


@click.group("audit")
def command() -> None:
    """Take the log away, verify it anywhere, prove, replay and compare what is in it.

    Exit codes: 0 ok, 2 tampered, 3 incomplete, 4 untrusted key.
    """


for each in (certificate, export, replay, diff):
    command.add_command(each)


@command.command("verify")
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--live", is_flag=True, help="The database, or the server at --url, instead of an export.")
@url_option
@key_option
@kept_option
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
    kept: BinaryIO | None,
    keep: Path | None,
) -> None:
    """Check FILE, an export: every hash, the root, the signature, and that it continues the kept checkpoint.

    Of a selection: every entry's proof, and that nothing is in it that was not asked for.
    """
    if live == (file is not None):
        raise click.UsageError("give an export FILE, or --live")
    trusted, before = trusted_keys(keys), kept_note(kept)
    if file is None:
        report = run(_verify_live(settings, url, trusted, before))
    else:
        report = examined(lines_of(file), trusted, before)
    show(report)
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
        leaf, proof = prove(lines_of(file), position)
        trusted = trusted_keys(keys)
        if trusted:
            check(proof.text(), leaf, trusted)
    except (NothingToExport, msgspec.MsgspecError) as reason:
        fail(str(reason), Verdict.INCOMPLETE)
    except Untrusted as reason:
        fail(str(reason), Verdict.UNTRUSTED)
    except (Forged, Malformed, NotProved) as reason:
        fail(str(reason), Verdict.TAMPERED)
    click.echo(proof.text(), nl=False)


@command.command("rotate-key")
@click.option(
    "--overlap", type=click.IntRange(0, 730), default=30, show_default=True, help="Days that both keys sign."
)
@pass_settings
def rotate_key(settings: Settings, overlap: int) -> None:
    """Sign checkpoints with another key from now on, beside the one before, so that who pinned that one can follow."""
    succession = run(_rotate_key(settings, timedelta(days=overlap)))
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


async def _verify_live(
    settings: Settings, url: str | None, trusted: tuple[Verifier, ...], kept: Note | None
) -> Report:
    if url is None:
        async with database(settings) as connection:
            return await verify_database(connection, trusted, kept)
    examiner = Examiner(trusted, kept)
    async with source_of(settings, url) as source:
        async for lines in export_lines(source):
            for line in lines.splitlines(keepends=True):
                examiner.take(line)
    return examiner.report()
