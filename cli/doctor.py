"""`chancery doctor`: is everything there, and what to do about what is not."""

import logging
from collections.abc import Iterator

import msgspec
import rich_click as click
import structlog
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.diagnosis.database import database
from cli.diagnosis.finding import Finding
from cli.diagnosis.log import log
from cli.diagnosis.machine import directory, machine, port, secret_files
from cli.diagnosis.servers import mail, others, sink
from cli.options import pass_settings
from infrastructure.settings import Settings

CHECKS = (machine, directory, secret_files, port, database, log, others, mail, sink)


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON array.")
@pass_settings
def command(settings: Settings, *, as_json: bool) -> None:
    """Look at the machine, the data directory, the servers and the log; say what to do about each fault.

    Ends with 1 when there is something to do.
    """
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )  # it says so itself
    findings = list(examined(settings))
    if as_json:
        click.echo(msgspec.json.encode(findings))
    else:
        _show(findings)
    if not all(finding.well for finding in findings):
        raise SystemExit(1)


def examined(settings: Settings) -> Iterator[Finding]:
    for check in CHECKS:
        yield from check(settings)


def _show(findings: list[Finding]) -> None:
    table = Table("", "what", "found", "what to do", box=None, pad_edge=False)
    for each in findings:
        table.add_row(
            "[green]ok[/]" if each.well else "[red]no[/]", *map(escape, (each.what, each.said, each.fix))
        )
    console = Console()
    Console(width=console.width if console.is_terminal else 160).print(table)
