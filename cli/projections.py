"""`chancery projections`: how far the read models are, whether they are right, and what to do if they are not."""

import json
from collections.abc import Iterable
from typing import Any

import rich_click as click
from msgspec import to_builtins
from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table

from cli.building import again, back, shown
from cli.options import pass_settings
from cli.parking import park_one, unpark_some
from cli.projection_work import NOT_WHOLE, as_json, built, named, run, url_of
from infrastructure.postgres import PROJECTOR, connect
from infrastructure.role import holders
from infrastructure.settings import Settings
from projections.projection import discover
from workers.parked import parked
from workers.places import KEPT, LIVE
from workers.rebuild import Built, compare
from workers.verify import verify

STANDING = """
select p.name, p.version, p.position, head, head - p.position as lag, p.failure, p.failed_at, p.updated_at,
  k.version as kept_version
from projections p
cross join (select coalesce(max(notification_id), 0) as head from stored_events) as log
left join projections k on k.name = p.name and k.place = %s
where p.place = %s
"""
_BLANK = {"version": None, "position": 0, "head": None, "lag": None, "failure": None, "failed_at": None}


@click.group("projections")
def command() -> None:
    """Look after the read models."""


command.add_command(again)
command.add_command(back)
command.add_command(park_one)
command.add_command(unpark_some)


@command.command("status")
@as_json
@pass_settings
def status(settings: Settings, *, as_json: bool) -> None:
    """How far each read model is, whether one stands still or lacks something, and whether a worker has it."""
    standing = run(_standing(url_of(settings)))
    if as_json:
        click.echo(json.dumps(standing, indent=2, default=str))
        return
    table = Table(
        *("projection", "version", "position", "head", "lag", "worker", "parked", "kept", "failure"),
        box=None,
        pad_edge=False,
    )
    for name, row in standing.items():
        table.add_row(name, *map(str, _cells(row)))
    Console().print(table)
    for name, row in standing.items():
        for each in row["parked"]:
            click.echo(
                f"{name}: {each['waiting']} events of stream {each['stream_id']} wait: {each['failure']}"
            )


def _cells(row: dict[str, Any]) -> Iterable[Any]:
    code = "" if row["version"] == row["code_version"] else f", code {row['code_version']}"
    yield f"{row['version']}{code}"
    yield from (row["position"], row["head"], row["lag"])
    yield "yes" if row["active"] else "no"
    yield len(row["parked"]) or ""
    yield "" if row["kept_version"] is None else row["kept_version"]
    yield row["failure"] or ""


async def _standing(url: str) -> dict[str, dict[str, Any]]:
    known = discover()
    async with await connect(url) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        await cursor.execute(STANDING, (KEPT, LIVE))
        rows = {row.pop("name"): row for row in await cursor.fetchall()}
        active = await holders(connection, PROJECTOR, list(known))
        waiting = {name: to_builtins(await parked(connection, name, LIVE)) for name in rows if name in known}
    return {
        name: {
            **_BLANK,
            "kept_version": None,
            **rows.get(name, {}),
            "parked": waiting.get(name, []),
            "code_version": projection.version,
            "active": name in active,
        }
        for name, projection in known.items()
    }


@command.command("verify")
@click.argument("names", nargs=-1)
@click.option("--deep", is_flag=True, help="Build it again beside, too, and compare every row.")
@as_json
@pass_settings
def check(settings: Settings, *, names: tuple[str, ...], deep: bool, as_json: bool) -> None:
    """Was every event taken in, each once? All read models, or those named.

    Exit code 1: one is wrong. 3: all are right as far as they go, but of one there are streams parked.
    """
    wrong, waits, found = list[str](), list[str](), dict[str, Any]()
    for name in named(names):
        found[name] = run(_verified(settings, name, deep=deep))
        wrong += [] if found[name]["right"] else [name]
        waits += [name] if found[name]["parked"] else []
        if not as_json:
            _say(name, found[name])
    if as_json:
        click.echo(json.dumps(found, indent=2))
    if wrong:
        raise click.ClickException(f"not right: {', '.join(wrong)}")
    if waits:
        click.echo(f"not whole, streams are parked: {', '.join(waits)}", err=True)
        raise SystemExit(NOT_WHOLE)


async def _verified(settings: Settings, name: str, *, deep: bool) -> dict[str, Any]:
    found = await verify(url_of(settings), name)
    if found is None:
        return {"right": False, "begun": False, "parked": 0}
    told: dict[str, Any] = {
        "right": found.right,
        "begun": True,
        "position": found.at.position,
        "count": found.at.count,
        "digest": found.at.digest.hex(),
        "log_count": found.count,
        "log_digest": found.digest.hex(),
        "parked": len(found.at.parked),
        "waiting": found.waiting,
    }
    if deep:
        beside: Built = await built(settings, discover()[name], compare)
        told["right"] = found.right and beside.comparison is not None and beside.comparison.equal
        told["built"] = shown(beside)
    return told


def _say(name: str, found: dict[str, Any]) -> None:
    if not found["begun"]:
        click.echo(f"{name}: not begun")
        return
    same = (found["count"], found["digest"]) == (found["log_count"], found["log_digest"])
    told = (
        "as in the store"
        if same
        else f"NOT AS IN THE STORE, which has {found['log_count']}, {found['log_digest'][:16]}"
    )
    click.echo(
        f"{name}: {found['count']} events up to position {found['position']}, digest {found['digest'][:16]}: {told}"
    )
    if found["parked"]:
        click.echo(f"  of them {found['waiting']} wait in {found['parked']} parked stream(s)")
    for line in found["built"]["told"] if "built" in found else ():
        click.echo(f"  {line}")
