"""`chancery import`: a file is sent, its preview shown, and, if you say so, applied; Ctrl-C cancels it."""

import json
import time
from pathlib import Path
from typing import Any

import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.options import pass_settings
from cli.signed_in import SignedIn, signed_in
from domain.imports.events import BOTH, KINDS, MODES
from infrastructure.settings import Settings

EVERY = 0.3
"""Seconds between two looks."""
SHOWN = 10
"""Rows and problems printed."""
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("import")
@click.argument("file", type=_FILE)
@click.option("--kind", type=click.Choice(KINDS), required=True, help="What the file holds.")
@click.option("--mode", type=click.Choice(MODES), default=BOTH, show_default=True, help="What to write.")
@click.option("--encoding", help="How the file is written; found out if not said.")
@click.option("--column", "columns", metavar="NAME=FIELD", multiple=True, help="Which field a column is.")
@click.option("--check", is_flag=True, help="Show the preview, and leave it at that.")
@click.option("--yes", is_flag=True, help="Apply without asking.")
@pass_settings
def command(
    settings: Settings,
    file: Path,
    kind: str,
    mode: str,
    encoding: str | None,
    columns: tuple[str, ...],
    *,
    check: bool,
    yes: bool,
) -> None:
    """Import FILE through a running Chancery: CHANCERY_URL, or the one that `chancery up` serves here.

    Whoever CHANCERY_LOGIN and CHANCERY_PASSWORD name needs the right import:run; without them you are asked.
    """
    said = {"kind": kind, "mode": mode, "encoding": encoding, "mapping": _mapping(columns)}
    api = signed_in(settings)
    try:
        with file.open("rb") as content:
            parts = {name: value for name, value in said.items() if value is not None}
            sent = api.ask("POST", "/imports", 202, data=parts, files={"file": (file.name, content)})
        _see_to_it(api, f"/imports/{sent.json()['id']}", check=check, yes=yes)
    finally:
        api.close()


def _mapping(columns: tuple[str, ...]) -> str | None:
    named = {name: field for name, _, field in (each.rpartition("=") for each in columns)}
    if "" in named:
        raise click.BadParameter("say it as NAME=FIELD", param_hint="--column")
    return json.dumps(named) if named else None


def _see_to_it(api: SignedIn, path: str, *, check: bool, yes: bool) -> None:
    try:
        seen = _followed(api, path, "reading")
        _show(seen)
        if seen["state"] != "previewed":
            raise SystemExit(1)
        if check or not (yes or click.confirm("Apply it?", err=True)):
            api.ask("POST", f"{path}/cancel", 200)
            return
        api.ask("POST", f"{path}/apply", 202, headers={"Idempotency-Key": path})
        done = _followed(api, path, "applying")
    except (KeyboardInterrupt, click.Abort):
        api.ask("POST", f"{path}/cancel", 200, 409)
        done = api.ask("GET", path, 200).json()
        click.echo(f"Canceled. {_counted(done)} What was written stays.", err=True)
        raise SystemExit(130) from None
    _tell(done, path)


def _followed(api: SignedIn, path: str, state: str) -> dict[str, Any]:
    """What it says when it has left that state; a bar shows how far it is."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = bar.add_task(state, total=None)
        while True:
            seen: dict[str, Any] = api.ask("GET", path, 200).json()
            if seen["state"] != state:
                return seen
            bar.update(shown, completed=seen["progress"]["processed"], total=seen["progress"]["total"])
            time.sleep(EVERY)


def _show(seen: dict[str, Any]) -> None:
    console = Console(highlight=False, markup=False)
    click.echo(f"{seen['name']}: {seen['format'] or 'unknown'}, written in {seen['encoding'] or 'unknown'}.")
    for column, field in seen["columns"].items():
        click.echo(f"  column {column} is {field}")
    click.echo(_counted(seen))
    for row in seen["sample"][:SHOWN]:
        rest = {name: value for name, value in row.items() if name not in ("row", "action") and value}
        where = f"row {row['row']}" if row["row"] else "a code"
        line = f"  {where} {row['action']}: {json.dumps(rest, ensure_ascii=False)}"
        console.print(line, no_wrap=True, overflow="ellipsis")
    for problem in seen["problems"][:SHOWN]:
        where = f"row {problem['row']}{problem['pointer']}" if problem["row"] else "the file"
        click.echo(f"{where}: {problem['detail']} ({problem['code']})")


def _counted(seen: dict[str, Any]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in seen["counts"].items()) + "."


def _tell(done: dict[str, Any], path: str) -> None:
    click.echo(f"{done['state'].capitalize()}: {_counted(done)}")
    if done["counts"]["failed"]:
        click.echo(f"The rows that failed: GET {path}/failed-rows")
    if done["state"] != "applied":
        for problem in done["problems"][:1]:
            click.echo(f"{problem['detail']} ({problem['code']})", err=True)
        raise SystemExit(1)
