"""`chancery projections park` and `unpark`: one poisoned stream waits, and all others go on."""

import json
from typing import Any
from uuid import UUID

import rich_click as click
from msgspec import to_builtins

from cli.options import pass_settings
from cli.projection_work import NOT_WHOLE, as_json, log_of, one, run, url_of
from infrastructure.settings import Settings
from projections.projection import Projection
from workers.parking import Unparked, park, unpark


@click.command("park")
@click.argument("name")
@as_json
@pass_settings
def park_one(settings: Settings, *, name: str, as_json: bool) -> None:
    """Set the stream of the event that stops this read model aside, with all that comes after it; the others go on.

    Exit code 1: there is nothing to park, or nothing of it may be.
    """
    waiting = run(park(url_of(settings), one(name)))
    if as_json:
        click.echo(json.dumps({"name": name, **_plain(waiting)}))
        return
    click.echo(
        f"{name}: stream {waiting.stream_id} waits from position {waiting.position} on: {waiting.failure}"
    )
    click.echo(f"  once its events can be applied: chancery projections unpark {name}")


@click.command("unpark")
@click.argument("name")
@click.argument("streams", nargs=-1, type=click.UUID)
@as_json
@pass_settings
def unpark_some(settings: Settings, *, name: str, streams: tuple[UUID, ...], as_json: bool) -> None:
    """Apply what waited, in order: of the streams named, or of all that are parked of this read model.

    Exit code 3: one of them fails again and stays parked. 1: nothing is parked, or it must be rebuilt.
    """
    done = run(_unparked(settings, one(name), streams))
    if as_json:
        click.echo(json.dumps({"name": name, "streams": [_plain(each) for each in done]}, indent=2))
    for each in done:
        if each.failure is not None:
            click.echo(f"{name}: stream {each.stream_id} stays parked: {each.failure}", err=True)
        elif not as_json:
            click.echo(
                f"{name}: stream {each.stream_id} is whole again, {each.applied} event(s) were applied"
            )
    if any(each.failure is not None for each in done):
        raise SystemExit(NOT_WHOLE)


async def _unparked(settings: Settings, projection: Projection, streams: tuple[UUID, ...]) -> list[Unparked]:
    async with log_of(settings) as log:
        return await unpark(settings.database_url, log, projection, streams)


def _plain(waiting: Any) -> dict[str, Any]:
    told: dict[str, Any] = to_builtins(waiting)
    return {name: value for name, value in told.items() if name not in ("parked_at", "waiting")}
