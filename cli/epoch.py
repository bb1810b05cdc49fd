"""`chancery epoch`: after a restore to an earlier point, see what was lost, and let the log go on from there."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, BinaryIO

import rich_click as click
from psycopg import AsyncConnection

from cli.options import pass_settings
from infrastructure.audit.form import checkpoint_of
from infrastructure.nats import Nats
from infrastructure.object_store import ObjectStore
from infrastructure.personal_data import wrapping_of
from infrastructure.postgres import connect
from infrastructure.settings import Settings
from projections.proofs import Malformed
from workers.epoch import Place, Seen, current
from workers.new_epoch import Backup, Begun, Checkpoints, Found, NothingLost, begin, look
from workers.work import elsewhere

ANSWER_SECONDS = 5.0


class Kept:
    """A checkpoint that somebody kept outside, as a place."""

    name = "kept checkpoint"

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    async def seen(self, connection: AsyncConnection[Any]) -> Seen:  # noqa: ARG002 - it is known already
        return self._seen


kept_option = click.option(
    "--checkpoint", type=click.File("rb"), help="A signed checkpoint that was kept outside."
)


@click.group("epoch")
def command() -> None:
    """One history of the log. A store that was set back begins another, which an operator has to say."""


@command.command("status")
@kept_option
@pass_settings
def status(settings: Settings, checkpoint: BinaryIO | None) -> None:
    """Compare the store with stream, copy and its own checkpoints; ends with 1 when they contradict it."""
    _needs(settings.database_url)
    epoch, found = asyncio.run(looked(settings, _kept(checkpoint)))
    click.echo(f"epoch {epoch}")
    for each in found:
        held = "nothing" if each.seen is None else f"{each.seen.size} events"
        click.echo(f"{each.place}: {each.away or each.contradiction or f'{held}, as in the store'}")
    if any(each.contradiction for each in found):
        raise click.ClickException("the store is not the log that was seen elsewhere: `chancery epoch begin`")


@command.command("begin")
@click.option("--reason", required=True, help="Why: what was restored, from when. It stands in the log.")
@kept_option
@click.option(
    "--force", is_flag=True, help="Although nothing contradicts the store, or a place does not answer."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_settings
def begin_epoch(
    settings: Settings, reason: str, checkpoint: BinaryIO | None, *, force: bool, yes: bool
) -> None:
    """Go on from here: what is missing is given up, and the log says so; another key signs, under another name."""
    kept = _kept(checkpoint)
    _needs(settings.database_owner_url)
    if not reason.strip():
        raise click.BadParameter("says nothing", param_hint="--reason")
    if not yes:
        click.confirm("What the store does not have is given up for good. Go on?", abort=True, err=True)
    try:
        begun = asyncio.run(_begin(settings, kept, reason.strip(), force=force))
    except NothingLost as reason_why:
        raise click.ClickException(f"{reason_why}. To begin one all the same: --force") from None
    click.echo(f"epoch {begun.epoch} has begun; entry {begun.position} says so")
    for each in begun.lost:
        click.echo(f"lost: {each.told}")
    click.echo(
        "next: `chancery guards rebuild`, `chancery projections rebuild --all`, and tell your auditors"
    )


def _needs(url: str) -> None:
    if not url:
        raise click.ClickException("There is no database: start `chancery up`, or set its URL.")


async def looked(settings: Settings, kept: list[Place]) -> tuple[str, list[Found]]:
    """The epoch, and what every place shows."""
    async with (
        _places(settings, kept) as places,
        await connect(settings.database_url, name="chancery epoch status") as connection,
    ):
        return str(await current(connection)), await look(settings.database_url, places)


async def _begin(settings: Settings, kept: list[Place], reason: str, *, force: bool) -> Begun:
    async with _places(settings, kept) as places:
        found = await look(settings.database_url, places)
    return await begin(settings.database_owner_url, wrapping_of(settings), found, reason, force=force)


@asynccontextmanager
async def _places(settings: Settings, kept: list[Place]) -> AsyncGenerator[list[Place]]:
    """Without a whole Chancery, which would write into a log that is in doubt."""
    objects = ObjectStore(settings)
    try:
        async with Nats(settings.nats_url, "chancery epoch") as source:
            with suppress(TimeoutError):  # then it is said to be away
                async with asyncio.timeout(ANSWER_SECONDS):
                    while settings.nats_url and not source.connected:  # noqa: ASYNC110 - it connects by itself
                        await asyncio.sleep(0.05)
            yield [*elsewhere(settings, source, objects), Checkpoints(), Backup(), *kept]
    finally:
        objects.close()


def _kept(file: BinaryIO | None) -> list[Place]:
    if file is None:
        return []
    try:
        checkpoint = checkpoint_of(file.read().decode())
    except (Malformed, UnicodeDecodeError) as reason:
        raise click.BadParameter(f"not a signed checkpoint: {reason}", param_hint="--checkpoint") from None
    return [Kept(Seen(place=Kept.name, size=checkpoint.size, root=checkpoint.root))]
