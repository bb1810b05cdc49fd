"""`chancery keys`: the keys that sign access tokens, looked over, followed by another, or thrown out."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import rich_click as click
import uvloop
from cryptography.exceptions import InvalidTag
from rich.console import Console
from rich.table import Table

from cli.options import pass_settings
from domain.shared import DomainError
from domain.signing_key.aggregate import SigningKeyUnknown, signing_key_id
from domain.signing_key.events import SigningKeyActivated, SigningKeyAdded, SigningKeySuperseded
from domain.signing_key.guards import STATES
from infrastructure.bootstrap import System, running
from infrastructure.settings import Settings

SETTLE = 2.0
"""Seconds by which every process has seen a new key; each looks twice a second."""
T = TypeVar("T")


@click.group("keys")
def command() -> None:
    """The keys that sign access tokens."""


@command.command("list")
@pass_settings
def list_keys(settings: Settings) -> None:
    """Every key there ever was: its state, since when it signed, until when it verified."""
    table = Table(
        "key", "state", "added", "signed from", "superseded", "last change", box=None, pad_edge=False
    )
    for row in _run(_listed(settings)):
        table.add_row(*row)
    console = Console()
    console.width = max(console.width, 160)
    console.print(table)


@command.command("rotate")
@click.option("--now", is_flag=True, help="Sign with it at once, not only when it has long been published.")
@pass_settings
def rotate(settings: Settings, *, now: bool) -> None:
    """Make the next key. After ten minutes `chancery work` lets it sign; the one before verifies until its end."""
    kid = _run(_rotate(settings, now=now))
    click.echo(f"{kid} signs now." if now else f"{kid} is published, and signs in ten minutes.")


@command.command("compromise")
@click.argument("kid")
@click.option("--reason", default="compromised", show_default=True, help="Stands in the log.")
@pass_settings
def compromise(settings: Settings, kid: str, reason: str) -> None:
    """Throw a key out: within a second nothing it signed is believed, and everybody's next request refreshes."""
    successor = _run(_compromise(settings, kid, reason))
    click.echo(f"{kid} is believed nowhere any more.")
    if successor is not None:
        click.echo(f"{successor} signs now.")


async def _listed(settings: Settings) -> list[tuple[str, ...]]:
    async with running(settings, name="keys") as system, system.pool.connection() as connection:
        cursor = await connection.execute(
            "select c.value, c.kind from claims c where c.kind = any(%s)", (list(STATES),)
        )
        known = await cursor.fetchall()
        rows = sorted([await _row(system, kid, kind) for kid, kind in known])
        return [row for _, row in rows]


async def _row(system: System, kid: str, kind: str) -> tuple[int, tuple[str, ...]]:
    """With the position of its first event, which orders them."""
    when: dict[type[Any], datetime] = {}
    for recorded in (past := await system.recorded(signing_key_id(kid))):
        when[type(recorded.event)] = recorded.recorded_at
    times = (when.get(each) for each in (SigningKeyAdded, SigningKeyActivated, SigningKeySuperseded))
    told = (kid, kind.partition(".")[2], *map(_told, times), _told(past[-1].recorded_at))
    return past[0].position, told


async def _rotate(settings: Settings, *, now: bool) -> str:
    async with running(settings, name="keys") as system:
        kid = await system.signing_keys.add()
        if now:
            await asyncio.sleep(SETTLE)
            await system.signing_keys.activate(kid)
        return kid


async def _compromise(settings: Settings, kid: str, reason: str) -> str | None:
    async with running(settings, name="keys") as system:
        return await system.signing_keys.compromise(kid, reason)


def _told(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _run(asked: Coroutine[Any, Any, T]) -> T:
    try:
        return uvloop.run(asked)
    except SigningKeyUnknown:
        raise click.ClickException("There is no such signing key; `chancery keys list` shows all.") from None
    except DomainError as refusal:
        raise click.ClickException(refusal.detail) from None
    except InvalidTag:
        raise click.ClickException(
            "The key-encryption key is not the one this database was written with."
        ) from None
