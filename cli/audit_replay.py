"""`chancery audit replay`: what was known on that day, and who might do what, from an export alone."""

import asyncio
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import msgspec
import rich_click as click
from click import get_current_context

from api.queries.explained import told
from api.queries.past import Life, MomentMalformed, moment
from application.evaluation import Evaluations, Found, Thing
from cli.auditing import fail, kept_note, kept_option, key_option, lines_of, show, trusted_keys
from infrastructure.audit.replay import NotWhole, Replay, Rights, Until
from infrastructure.audit.replay_rows import applied, folded, throwaway
from infrastructure.audit.report import Report, Verdict
from infrastructure.audit.verify_file import examined
from infrastructure.embedded.children import StartError
from infrastructure.event_codec import UnknownTopic
from projections.projection import Fold, Projection, discover

EVERYBODY = 10_000_000
WHEN = "a position, an instant, or of one record a version (v7)"
MODELS = discover()
_encode = msgspec.json.Encoder(order="deterministic").encode

export_file = click.Path(exists=True, dir_okay=False, path_type=Path)
model_option = click.option(
    "--model",
    type=click.Choice(sorted(MODELS)),
    metavar="NAME",
    help="A read model: contract, user, ledger ...",
)
id_option = click.option("--id", "record", type=click.UUID, help="One record of it.")


class Named(click.ParamType[tuple[str, str]]):
    """A thing by its kind and its id: user/<id>, contract/<id>, site/tw-main, global/*."""

    name = "TYPE/ID"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        kind, slash, name = str(value).partition("/")
        if not (kind and slash and name):
            self.fail(f"{value!r} is not TYPE/ID", param, ctx)
        return kind, name


@click.command("replay")
@click.argument("file", type=export_file)
@click.option("--as-of", metavar="WHEN", help=f"{WHEN}; without it, the end of the export.".capitalize())
@model_option
@id_option
@click.option("--history", is_flag=True, help="All that happened to the record: who, when, from, to, why.")
@click.option("--can", metavar="RIGHT", help="Might --subject do that, on --on? By which grant?")
@click.option("--who-can", metavar="RIGHT", help="Who might do that, on --on?")
@click.option("--subject", type=Named(), help="user/<id> or client/<id>.")
@click.option("--on", type=Named(), help="A record (contract/<id>) or a scope (site/tw-main, global/*).")
@key_option
@kept_option
def replay(
    file: Path,
    *,
    as_of: str | None,
    model: str | None,
    record: UUID | None,
    history: bool,
    can: str | None,
    who_can: str | None,
    subject: tuple[str, str] | None,
    on: tuple[str, str] | None,
    keys: tuple[str, ...],
    kept: BinaryIO | None,
) -> None:
    """Rebuild what was known on a day from FILE, an export, without any server; or who might do what then.

    FILE is verified first, and nothing is told of one that is not sound. Rows come as NDJSON, as the API would have
    shown them; personal fields, which an export holds as ciphertext, read "sealed".
    """
    if [model, can, who_can].count(None) != 2:
        raise click.UsageError("give one of --model, --can and --who-can")
    if history and (model is None or record is None):
        raise click.UsageError("--history is of one record: give --model and --id")
    if (can is not None and subject is None) or (model is None and on is None):
        raise click.UsageError("a right is asked for with --on, and with --subject or --who-can")
    if model is None and as_of is not None and as_of.startswith("v"):
        raise click.UsageError("a right has no versions: give a position or an instant")
    with file.open("rb") as lines:
        report = sound(lines, keys, kept)
        with answering():
            replayed, until = Replay(lines, report), until_of(as_of, report)
            if history:
                _print(_encode(each) for each in life_of(replayed, model, record, until).history())
            elif model is not None:
                _rows(replayed, MODELS[model], until, record)
            else:
                asyncio.run(_right(replayed, until, as_of, can or who_can or "", subject, on or ("", "")))


@contextmanager
def answering() -> Generator[None]:
    """What an export cannot answer, or this version cannot read, ends the command with a sentence."""
    try:
        yield
    except (NotWhole, StartError) as reason:
        fail(str(reason), Verdict.INCOMPLETE)
    except (UnknownTopic, msgspec.MsgspecError) as reason:
        fail(f"this version cannot read an entry: {reason}", Verdict.INCOMPLETE)


def sound(file: BinaryIO, keys: tuple[str, ...], kept: BinaryIO | None) -> Report:
    """The report of an export that is sound; any other ends the command, with what was found."""
    report = examined(lines_of(file), trusted_keys(keys), kept_note(kept))
    if report.verdict is not Verdict.OK:
        show(report)
        get_current_context().exit(int(report.verdict))
    if not report.pinned:
        click.echo("signed by a key that vouches for itself: pin it with --key", err=True)
    file.seek(0)
    return report


def until_of(text: str | None, report: Report) -> Until:
    """Raises NotWhole for a position that the export does not reach."""
    if text is None:
        return lambda _: True
    if re.fullmatch(r"[0-9]{1,18}", text) and int(text) > report.entries:
        raise NotWhole(f"the export ends at entry {report.entries}")
    try:
        return moment(text)
    except MomentMalformed:
        raise click.UsageError(f"{text!r} is no moment: give {WHEN}") from None


def _rows(replayed: Replay, model: Projection, until: Until, record: UUID | None) -> None:
    if isinstance(model, Fold) and model.pure:
        _print(folded(replayed, model, until, record))
        return

    async def run() -> None:
        with throwaway() as url:
            async for row in applied(url, replayed, model, until, record):
                click.echo(row)

    asyncio.run(run())


def life_of(replayed: Replay, model: str | None, record: UUID | None, until: Until) -> Life:
    """Of the record's own stream, as the API tells it."""
    fold = MODELS[model or ""]
    if not isinstance(fold, Fold):
        raise click.UsageError(f"{model} has no records with a past of their own")
    own = replayed.recorded(lambda stored: stored.stream_id == record and fold.takes(stored), until)
    return Life(list(own), fold)


async def _right(
    replayed: Replay,
    until: Until,
    as_of: str | None,
    right: str,
    subject: tuple[str, str] | None,
    on: tuple[str, str],
) -> None:
    instant = msgspec.convert(as_of, datetime) if as_of and "T" in as_of else None
    at = replayed.moment(until, instant)
    rights = Rights(replayed, at)
    evaluations = Evaluations(rights, rights)
    thing = Thing(type=on[0], id=on[1])
    name = right if ":" in right else f"{on[0]}:{right}"
    if subject is not None:
        kind, who = subject[0], _id(subject[1])
        found = await evaluations.decide(kind, who, name, thing, at, explain=True)
        click.echo(_encode(told(found, explain=True)))
        return
    for kind in ("user", "client"):
        able, _ = await evaluations.who_can(kind, name, thing, at, after=None, limit=EVERYBODY)
        _print(_able(kind, each) for each in able)


def _able(kind: str, found: Found) -> bytes:
    return _encode(
        {"subject": {"type": kind, "id": found.subject}, "context": told(found, explain=False).context}
    )


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is no id: people are told by their ids here") from None


def _print(rows: Iterable[bytes]) -> None:
    for row in rows:
        click.echo(row)
