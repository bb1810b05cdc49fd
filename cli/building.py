"""`chancery projections rebuild` and `rollback`: a read model made again from the log, and the one before it."""

import json
from typing import Any

import rich_click as click

from cli.options import pass_settings
from cli.projection_work import DIFFERENT, as_json, built, log_of, named, one, run
from infrastructure.settings import Settings
from projections.projection import Projection, discover
from workers.rebuild import Built, rebuild
from workers.rollback import RolledBack, rollback


@click.command("rebuild")
@click.argument("names", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
@as_json
@pass_settings
def again(settings: Settings, *, names: tuple[str, ...], every: bool, as_json: bool = False) -> None:
    """Build read models again from the events and put them in the place of those in use, which are kept aside.

    Exit code 4: what was in use is not what the events give, and neither another version nor a parked stream tells why.
    """
    if not names and not every:
        raise click.UsageError("Name a projection, or say --all.")
    done: dict[str, Any] = {}
    for name in named(() if every else names):
        done[name] = shown(run(built(settings, discover()[name], rebuild)))
        if not as_json:
            click.echo(f"{name}: {done[name]['told'][0]}")
            for line in done[name]["told"][1:]:
                click.echo(f"  {line}")
    if as_json:
        click.echo(json.dumps(done, indent=2))
    if strange := [name for name, each in done.items() if not each["expected"]]:
        click.echo(f"was not what the events give: {', '.join(strange)}; the new one is in use", err=True)
        raise SystemExit(DIFFERENT)


@click.command("rollback")
@click.argument("name")
@as_json
@pass_settings
def back(settings: Settings, *, name: str, as_json: bool) -> None:
    """Put back what the last rebuild kept aside; what is in use is kept aside instead. It then catches up by itself."""
    done = run(_rolled_back(settings, one(name)))
    at, aside = done.at, done.aside
    if as_json:
        told = {"position": at.position, "version": at.version, "parked": len(at.parked)}
        kept = None if aside is None else {"position": aside.position, "version": aside.version}
        click.echo(json.dumps({"name": name, **told, "aside": kept}))
        return
    click.echo(f"{name}: version {at.version} is in use again, and goes on from position {at.position}")
    if aside is not None:
        click.echo(f"  version {aside.version} at position {aside.position} is kept aside")


async def _rolled_back(settings: Settings, projection: Projection) -> RolledBack:
    async with log_of(settings) as log:
        return await rollback(settings.database_url, log, projection)


def shown(built: Built) -> dict[str, Any]:
    """What was built, and how it compares with what was there; `told`: in lines for people."""
    found = built.comparison
    return {
        "position": built.at.position,
        "count": built.at.count,
        "version": built.at.version,
        "live_version": built.live_version,
        "parked": len(built.at.parked),
        "equal": None if found is None else found.equal,
        "expected": built.expected,
        "told": _told(built),
    }


def _told(built: Built) -> list[str]:
    lines = [f"built from {built.at.count} events up to position {built.at.position}"]
    if built.at.parked:
        lines.append(f"{len(built.at.parked)} stream(s) cannot be applied still, and are parked in it")
    found = built.comparison
    if found is None:
        return [*lines, "nothing was there to compare with"]
    for live, ours in zip(found.live, found.built, strict=True):
        word = "equal" if live == ours else "DIFFERENT"
        counts = f"{live.count} and {ours.count} rows"
        lines.append(f"{live.table} at position {found.position}: {counts}, {word} ({ours.sha256[:16]})")
    if not found.same_events:
        lines.append("the two did not take in the same events")
    if not found.equal:
        lines.append(_why(built))
    return lines


def _why(built: Built) -> str:
    if built.live_version != built.at.version:
        return f"expected: version {built.live_version} was there, this is version {built.at.version}"
    if built.live_parked:
        return f"expected: {built.live_parked} stream(s) were parked in what was there"
    return "one of the two is wrong, unless the code has changed without a new version"
