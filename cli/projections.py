"""`chancery projections`: how far the read models are, whether they are right, and building them again."""

import gc
import json
from collections.abc import Iterable
from typing import Any

import rich_click as click
import uvloop
from psycopg.rows import dict_row
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from cli.options import pass_settings
from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.personal_data import Vault, wrapping_of
from infrastructure.postgres import PROJECTOR, connect, open_pool
from infrastructure.role import holders
from infrastructure.settings import Settings
from projections.projection import Projection, discover
from workers.rebuild import Built, Busy, compare, rebuild, verify

STANDING = """
select name, version, position, head, head - position as lag, failure, failed_at, updated_at
from projections, (select coalesce(max(notification_id), 0) as head from stored_events) as log
where place = 'read'
"""


@click.group("projections")
def command() -> None:
    """Look after the read models."""


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@pass_settings
def status(settings: Settings, *, as_json: bool) -> None:
    """How far each read model is, whether one stands still, and whether a worker has it."""
    standing = uvloop.run(_standing(settings))
    if as_json:
        click.echo(json.dumps(standing, indent=2, default=str))
        return
    table = Table(
        "projection", "version", "position", "head", "lag", "worker", "failure", box=None, pad_edge=False
    )
    for name, row in standing.items():
        version = (
            f"{row['version']}"
            if row["version"] == row["code_version"]
            else f"{row['version']}, code {row['code_version']}"
        )
        cells = (
            name,
            version,
            row["position"],
            row["head"],
            row["lag"],
            "yes" if row["active"] else "no",
            row["failure"] or "",
        )
        table.add_row(*map(str, cells))
    Console().print(table)


@command.command("verify")
@click.argument("names", nargs=-1)
@click.option("--deep", is_flag=True, help="Build it again beside, too, and compare every row.")
@pass_settings
def check(settings: Settings, *, names: tuple[str, ...], deep: bool) -> None:
    """Was every event taken in, each once? All read models, or those named. Exit code 1: one is wrong."""
    wrong = [name for name in _named(names) if not uvloop.run(_verified(settings, name, deep=deep))]
    if wrong:
        raise click.ClickException(f"not right: {', '.join(wrong)}")


@command.command("rebuild")
@click.argument("names", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
@pass_settings
def again(settings: Settings, *, names: tuple[str, ...], every: bool) -> None:
    """Build read models again from the events and put them in the place of those in use, which are kept aside."""
    if not names and not every:
        raise click.UsageError("Name a projection, or say --all.")
    for name in _named(() if every else names):
        _tell(name, uvloop.run(_rebuilt(settings, name)))


def _named(names: Iterable[str]) -> list[str]:
    known = discover()
    if unknown := [name for name in names if name not in known]:
        raise click.UsageError(f"No projection {', '.join(unknown)}; there are {', '.join(known)}.")
    return list(names) or list(known)


async def _standing(settings: Settings) -> dict[str, dict[str, Any]]:
    known = discover()
    async with await connect(settings.database_url) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        await cursor.execute(STANDING)
        rows = {row.pop("name"): row for row in await cursor.fetchall()}
        active = await holders(connection, PROJECTOR, list(known))
    blank = {"version": None, "position": 0, "head": None, "lag": None, "failure": None, "failed_at": None}
    return {
        name: {**blank, **rows.get(name, {}), "code_version": projection.version, "active": name in active}
        for name, projection in known.items()
    }


async def _verified(settings: Settings, name: str, *, deep: bool) -> bool:
    found = await verify(settings.database_url, name)
    if found is None:
        click.echo(f"{name}: not begun")
        return False
    right = found.right
    click.echo(
        f"{name}: {found.at.count} events up to position {found.at.position}, digest {found.at.digest.hex()[:16]}: "
        + (
            "as in the store"
            if right
            else f"NOT AS IN THE STORE, which has {found.count}, {found.digest.hex()[:16]}"
        )
    )
    if deep:
        built = await _with_log(settings, name, compare)
        _tell(name, built)
        right = right and built.comparison is not None and built.comparison.equal
    return right


async def _rebuilt(settings: Settings, name: str) -> Built:
    return await _with_log(settings, name, rebuild)


async def _with_log(settings: Settings, name: str, work: Any) -> Built:
    projection: Projection = discover()[name]
    pool = await open_pool(settings.database_url, size=2, name="chancery rebuild")
    console = Console(stderr=True)
    gc.set_threshold(
        50_000, 20, 100
    )  # batches of thousands of objects: a sixth of the time else goes into collecting
    async with pool:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(name)
            log = EventLog(pool, EventCodec(), Vault(pool, wrapping_of(settings)))
            try:
                built: Built = await work(
                    settings.database_url,
                    log,
                    projection,
                    lambda at, of: progress.update(task, completed=at, total=of),
                )
            except Busy as error:
                raise click.ClickException(str(error)) from None
    return built


def _tell(name: str, built: Built) -> None:
    """What was built, and how it compares with what was there."""
    click.echo(f"{name}: built from {built.at.count} events up to position {built.at.position}")
    found = built.comparison
    if found is None:
        click.echo("  nothing was there to compare with")
        return
    for live, ours in zip(found.live, found.built, strict=True):
        word = "equal" if live == ours else "DIFFERENT"
        counts = f"{live.count} and {ours.count} rows"
        click.echo(f"  {live.table} at position {found.position}: {counts}, {word} ({ours.sha256[:16]})")
    if not found.same_events:
        click.echo("  the two did not take in the same events")
    if not found.equal and built.live_version != built.at.version:
        click.echo(f"  expected: version {built.live_version} was there, this is version {built.at.version}")
    elif not found.equal:
        click.echo("  one of the two is wrong, unless the code has changed without a new version")
