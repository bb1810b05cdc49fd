"""`chancery config`: what is set, and who said so."""

import json

import rich_click as click
from rich.console import Console
from rich.table import Table

from cli.options import pass_settings
from infrastructure.settings import DESCRIPTIONS, SETTINGS, Settings, masked


@click.group("config")
def command() -> None:
    """Look at the settings."""


@command.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@pass_settings
def show(settings: Settings, *, as_json: bool) -> None:
    """Every setting, its value (secrets masked) and where it came from."""
    shown = {name: masked(name, getattr(settings, name)) for name in SETTINGS}
    if as_json:
        rows = {name: {"value": value, "source": settings.sources[name]} for name, value in shown.items()}
        click.echo(json.dumps(rows, indent=2, default=str))
        return
    table = Table("setting", "value", "source", "meaning", box=None, pad_edge=False)
    for name, value in shown.items():
        text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        table.add_row(name, text, settings.sources[name], DESCRIPTIONS[name])
    console = Console()
    Console(width=console.width if console.is_terminal else 200).print(table)
