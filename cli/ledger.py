"""`chancery ledger`: whether the figures that are shown are those of the log."""

import asyncio

import psycopg
import rich_click as click
from click import get_current_context

from cli.options import pass_settings
from infrastructure.audit.report import Verdict
from infrastructure.papers.ledger_check import Report, verify
from infrastructure.settings import Settings

SHOWN = 20
"""Differences that are printed; all are counted."""


@click.group("ledger")
def command() -> None:
    """What was paid and invoiced, against the log.

    Exit codes: 0 ok, 2 something differs, 3 incomplete.
    """


@command.command("verify")
@pass_settings
def verify_ledger(settings: Settings) -> None:
    """Make every amount again from the log: contracts, balances, both sides of every posting, and the numbers."""
    if not settings.database_url:
        _end("There is no database: start `chancery up`, or set DATABASE_URL.", Verdict.INCOMPLETE)
    try:
        report = asyncio.run(verify(settings.database_url))
    except psycopg.Error as reason:
        _end(str(reason).strip(), Verdict.INCOMPLETE)
    else:
        _show(report)


def _show(report: Report) -> None:
    for each in report.differences[:SHOWN]:
        click.echo(str(each))
    if len(report.differences) > SHOWN:
        click.echo(f"... and {len(report.differences) - SHOWN} more")
    if report.differences:
        _end(f"{len(report.differences)} figure(s) differ from the log.", Verdict.TAMPERED)
    if report.missing:
        _end(f"There is no read model yet of: {', '.join(report.missing)}.", Verdict.INCOMPLETE)
    click.echo(
        f"ok: {report.contracts} contracts, {report.numbers} numbers without a gap, debits and credits the same"
    )


def _end(message: str, verdict: Verdict) -> None:
    click.echo(f"Error: {message}", err=True)
    get_current_context().exit(int(verdict))
