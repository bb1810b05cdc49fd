"""`chancery audit diff`: two exports, or two moments of one record."""

from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import msgspec
import rich_click as click
from click import get_current_context

from cli.audit_replay import WHEN, answering, export_file, id_option, life_of, model_option, sound, until_of
from cli.auditing import kept_option, key_option, lines_of
from domain.shared import Stored
from infrastructure.audit.difference import Side, Unlike, unlike
from infrastructure.audit.replay import Replay
from infrastructure.audit.report import Report, Verdict
from infrastructure.audit.selection import Opens
from infrastructure.event_codec import EventCodec


@click.command("diff")
@click.argument("file", type=export_file)
@click.argument("other", type=export_file, required=False)
@model_option
@id_option
@click.option("--from", "first", metavar="WHEN", help=f"Of one record: {WHEN}.")
@click.option("--to", "last", metavar="WHEN", help="The later moment; without it, the end of the export.")
@key_option
@kept_option
def diff(
    file: Path,
    other: Path | None,
    *,
    model: str | None,
    record: UUID | None,
    first: str | None,
    last: str | None,
    keys: tuple[str, ...],
    kept: BinaryIO | None,
) -> None:
    """What OTHER, a second export, has that FILE has not, and the other way round; or what changed of one record.

    `<` is in FILE alone, `>` in OTHER alone, `!` is another entry in each: a fork, two histories, which ends with 2.
    """
    one_record = None not in (model, record, first)
    if one_record == (other is not None):
        raise click.UsageError("give two exports, or one with --model, --id and --from")
    with file.open("rb") as lines:
        report = sound(lines, keys, kept)
        if other is not None:
            with other.open("rb") as theirs, answering():
                _exports(lines, report, theirs, sound(theirs, keys, None))
            return
        with answering():
            life = life_of(Replay(lines, report), model, record, until_of(None, report))
            changed = life.diff(until_of(first, report), until_of(last, report))
            click.echo(msgspec.json.encode(changed, order="deterministic"))


def _exports(file: BinaryIO, report: Report, other: BinaryIO, second: Report) -> None:
    assert report.checkpoint is not None
    assert second.checkpoint is not None
    if report.checkpoint.origin != second.checkpoint.origin:
        click.echo(f"two logs: {report.checkpoint.origin} and {second.checkpoint.origin}")
    counts = dict.fromkeys(Side, 0)
    fork: Unlike | None = None
    metadata = EventCodec().metadata
    for each in unlike(lines_of(file), lines_of(other)):
        counts[each.side] += 1
        if fork is None:
            click.echo(f"{each.side.value} {_line(each.event, metadata)}")
            if each.other is not None:
                click.echo(f"{each.side.value} {_line(each.other, metadata)}")
                fork = each
    click.echo(f"{counts[Side.FIRST]} only in the first, {counts[Side.SECOND]} only in the second")
    if fork is not None:
        _forked(fork.event, report, second, counts[Side.FORK])


def _forked(event: Stored, report: Report, second: Report, count: int) -> None:
    signed = " and ".join(dict.fromkeys((*report.signed_by, *second.signed_by)))
    click.echo(
        f"FORK: at entry {event.position} there are two histories, signed by {signed}; {count} entries differ"
    )
    get_current_context().exit(int(Verdict.TAMPERED))


def _line(event: Stored, metadata: Opens) -> str:
    when = event.recorded_at.isoformat().replace("+00:00", "Z")
    actor = metadata(event, {}).actor
    return (
        f"{event.position} {when} {event.topic} {event.stream_id} v{event.version} by {actor.kind}/{actor.id}"
    )
