"""`chancery audit verify` and `prove`: a whole log, some of it, or the database itself; and one entry of it."""

from pathlib import Path
from typing import BinaryIO

import msgspec
import rich_click as click
from click import get_current_context

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
from infrastructure.audit.export import NothingToExport, export_lines
from infrastructure.audit.live import verify_database
from infrastructure.audit.proof import NotProved, check
from infrastructure.audit.proof import prove as proved
from infrastructure.audit.report import Report, Verdict
from infrastructure.audit.signed_note import Forged, Note, Untrusted, Verifier
from infrastructure.audit.verify import Examiner
from infrastructure.audit.verify_file import examined
from infrastructure.settings import Settings
from projections.proofs import Malformed


@click.command("verify")
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


@click.command("prove")
@click.argument("position", type=click.IntRange(min=1))
@click.argument("file", type=click.File("rb"))
@key_option
def prove(position: int, file: BinaryIO, keys: tuple[str, ...]) -> None:
    """Print the proof (c2sp.org/tlog-proof@v1) that entry POSITION is in the log, out of FILE, an export."""
    try:
        leaf, proof = proved(lines_of(file), position)
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
