"""`chancery guards`: the tables that judge every command, compared with the log or made again from it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import rich_click as click
from cryptography.exceptions import InvalidTag

from cli.options import pass_settings
from infrastructure import guard_check
from infrastructure.personal_data import wrapping_of
from infrastructure.settings import Settings

SHOWN = 100
"""Differences printed; the count is of all."""
T = TypeVar("T")


@click.group("guards")
def command() -> None:
    """Claims, principals, sessions, rights, responsibles and API clients against the events they come from."""


@command.command("verify")
@pass_settings
def verify(settings: Settings) -> None:
    """Compare every guard row with the log; ends with 1 when they differ."""
    _compare(_url(settings.database_url), settings)


@command.command("rebuild")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def rebuild(settings: Settings, *, yes: bool) -> None:
    """Make the guard tables again from the log. Ends every session: all people sign in anew."""
    url = _url(settings.database_owner_url)
    if not yes:
        click.confirm("This signs everybody out. Rebuild the guards?", abort=True, err=True)
    done = _run(guard_check.rebuild(url, wrapping_of(settings)))
    rows = ", ".join(f"{count} {table}" for table, count in done.rows.items())
    click.echo(f"Rebuilt from {done.position} events: {rows}; {done.sessions_ended} session(s) ended.")
    _compare(url, settings)


def _compare(url: str, settings: Settings) -> None:
    differences = _run(guard_check.verify(url, wrapping_of(settings)))
    for each in differences[:SHOWN]:
        click.echo(str(each))
    if differences:
        raise click.ClickException(f"{len(differences)} guard row(s) differ from the log.")
    click.echo("The guards are what the log says.")


def _url(url: str) -> str:
    if not url:
        raise click.ClickException("There is no database: start `chancery up`, or set DATABASE_URL.")
    return url


def _run(checking: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(checking)
    except InvalidTag:
        raise click.ClickException(
            "The key-encryption key is not the one this database was written with."
        ) from None
