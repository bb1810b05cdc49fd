"""`chancery audit export`: the log, or some of it, as a file that proves itself."""

import re
import sys
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, BinaryIO
from uuid import UUID

import msgspec
import rich_click as click
from msgspec import Meta
from rich.console import Console
from rich.progress import Progress

from cli.auditing import kept_note, run, source_of, url_option
from cli.options import pass_settings
from infrastructure.audit.export_file import Written, write_export
from infrastructure.audit.readable import CLOUD_EVENTS, CSV, write_readable
from infrastructure.audit.selected import Asked, Bound
from infrastructure.audit.selection import Selection
from infrastructure.settings import Settings

BOUND = "a position, a day in UTC, or an instant"


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@url_option
@click.option("--from", "first", metavar="WHEN", help=f"The first entry: {BOUND}.")
@click.option("--to", "last", metavar="WHEN", help=f"The last entry: {BOUND}, itself included.")
@click.option("--topic", multiple=True, help="Only this topic, or those that begin so: contract.")
@click.option("--subject", multiple=True, type=click.UUID, help="Only what happened to this record.")
@click.option("--actor", multiple=True, type=click.UUID, help="Only what this user or client did.")
@click.option("--request", multiple=True, help="Only what this request did.")
@click.option(
    "--allowed-by", multiple=True, metavar="RIGHT", help="Only what rested on this grant, or role:<name>."
)
@click.option(
    "--continues",
    type=click.File("rb"),
    metavar="KEPT",
    help="A checkpoint kept earlier: a selection then also proves that the log begins with what that one covered.",
)
@click.option(
    "--as",
    "form",
    type=click.Choice(["ndjson", CSV, CLOUD_EVENTS]),
    default="ndjson",
    show_default=True,
    help="csv and cloudevents are for other programs: they carry no proofs.",
)
@pass_settings
def export(
    settings: Settings,
    file: Path,
    url: str | None,
    *,
    first: str | None,
    last: str | None,
    topic: tuple[str, ...],
    subject: tuple[UUID, ...],
    actor: tuple[UUID, ...],
    request: tuple[str, ...],
    allowed_by: tuple[str, ...],
    continues: BinaryIO | None,
    form: str,
) -> None:
    """Write the log, up to its newest signed checkpoint, to FILE as NDJSON; or a range of it, or what fits.

    Every filter may be given several times, and then any of its values will do. What is no whole log carries a proof
    for each entry. An export that was interrupted goes on when the same command is given again.
    """
    filters = Selection(topic=topic, subject=subject, actor=actor, request=request, allowed_by=allowed_by)
    kept = kept_note(continues)
    asked = Asked(
        filters=filters,
        first=_bound("--from", first, time.min),
        last=_bound("--to", last, time.max),
        kept=None if kept is None else str(kept),
    )
    written = run(_export(settings, asked, file, url, form))
    if written.resumed:
        click.echo(f"went on after {written.resumed} entries", err=True)
    click.echo(f"{written.entries} entries in {file}")


async def _export(settings: Settings, asked: Asked, file: Path, url: str | None, form: str) -> Written:
    console = Console(stderr=True)
    async with source_of(settings, url) as source:
        with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("entries", total=None)

            def told(at: int, end: int) -> None:
                progress.update(task, completed=at, total=end)

            if form == "ndjson":
                return await write_export(source, asked, file, told)
            return Written(await write_readable(source, asked, file, form, told), 0)


def _bound(option: str, text: str | None, of_day: time) -> Bound:
    if text is None or re.fullmatch(r"[0-9]{1,18}", text):
        return None if text is None else int(text)
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        text = f"{text}T{of_day.isoformat()}Z"
    try:
        instant: datetime = msgspec.convert(text, Annotated[datetime, Meta(tz=True)])
    except msgspec.ValidationError:
        raise click.BadParameter(f"give {BOUND} with its offset", param_hint=option) from None
    return instant.astimezone(UTC)
