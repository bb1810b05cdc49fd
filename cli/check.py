"""`chancery check`: everything compared with the log, now; and what an earlier check said compared with a replay."""

import asyncio
from typing import Any

import msgspec
import rich_click as click

from cli.options import pass_settings
from domain.check.events import CheckCompleted, ModelDigest
from infrastructure.bootstrap import System, running
from infrastructure.event_store import new_id
from infrastructure.settings import Settings
from projections.projection import discover
from workers.check import check
from workers.rebuild import replayed


@click.group("check")
def command() -> None:
    """Guards, read models and the log, compared with each other. The result is an event."""


@command.command("run")
@click.option("--deep", is_flag=True, help="Build every read model again beside, too, and compare every row.")
@pass_settings
def run(settings: Settings, *, deep: bool) -> None:
    """Check now; ends with 1 when something differs."""
    found = asyncio.run(_checked(settings, deep=deep))
    for each in found.differences:
        click.echo(each)
    if found.differing:
        raise click.ClickException(f"{found.differing} difference(s)")
    click.echo(
        f"{found.size} entries, {len(found.models)} read models and the guards are as they should be;"
        f" {len(found.rebuilt)} built again, equal"
    )


@command.command("replay")
@click.argument("names", nargs=-1)
@click.option(
    "--position", type=click.IntRange(min=1), help="Of the check's entry in the log.  [default: the newest]"
)
@pass_settings
def replay(settings: Settings, *, names: tuple[str, ...], position: int | None) -> None:
    """Build read models again, up to where a check saw them, and compare its digests; ends with 1 when they differ."""
    if unknown := [name for name in names if name not in discover()]:
        raise click.UsageError(f"No read model {', '.join(unknown)}; there are {', '.join(discover())}.")
    differ = asyncio.run(_replayed(settings, names, position))
    if differ:
        raise click.ClickException(f"not what the check saw: {', '.join(differ)}")


async def _checked(settings: Settings, *, deep: bool) -> Any:
    _needs(settings)
    async with running(settings, name="check") as system:
        return await check(system, new_id(), sorted(discover()) if deep else ())


async def _replayed(settings: Settings, names: tuple[str, ...], position: int | None) -> list[str]:
    _needs(settings)
    async with running(settings, name="check") as system:
        at, event = await _check_at(system, position)
        erased = await _erased_since(system, at)
        differ = []
        for model in event.models:
            if not names or model.model in names:
                said, same = await _compared(system, model)
                click.echo(f"{model.model} at {model.position}: {said}")
                differ += [] if same else [model.model]
        if differ and erased:
            click.echo(f"{erased} person(s) were erased since: what held them differs for good")
        return differ


async def _compared(system: System, model: ModelDigest) -> tuple[str, bool]:
    projection = discover().get(model.model)
    if projection is None or projection.version != model.model_version:
        return f"was built by version {model.model_version}, which this program has no more", True
    rows = await replayed(system.url, system.log, projection, model.position)
    said = [(t.table, t.rows, t.sha256, t.views) for t in model.tables]
    same = [(r.table, r.count, r.sha256, r.views) for r in rows] == said
    return ("as the check saw it" if same else "DIFFERENT"), same


async def _check_at(system: System, position: int | None) -> tuple[int, CheckCompleted]:
    async with system.pool.connection() as connection:
        row = await (
            await connection.execute(
                "select s.notification_id, s.state from read.audit_entry e"
                " join stored_events s on s.notification_id = e.position"
                " where e.topic = %s and e.position = coalesce(%s, e.position) order by e.position desc limit 1",
                (CheckCompleted.TOPIC, position),
            )
        ).fetchone()
    if row is None:
        raise click.ClickException("there is no check in the log" + (f" at {position}" if position else ""))
    return row[0], msgspec.json.decode(row[1], type=CheckCompleted)


async def _erased_since(system: System, position: int) -> int:
    async with system.pool.connection() as connection:
        row = await (
            await connection.execute(
                "select count(*) from subject_keys where destroyed_at >"
                " (select recorded_at from stored_events where notification_id = %s)",
                (position,),
            )
        ).fetchone()
    return row[0] if row else 0


def _needs(settings: Settings) -> None:
    if not settings.database_url:
        raise click.ClickException("There is no database: start `chancery up`, or set DATABASE_URL.")
