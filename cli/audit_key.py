"""`chancery audit rotate-key`: checkpoints are signed with another key from now on."""

from datetime import timedelta

import rich_click as click
from msgspec import structs

from application.access import Need
from application.access import system as the_system
from application.context import Context
from cli.auditing import run
from cli.options import pass_settings
from domain.audit_key.aggregate import AUDIT_KEY, AUDIT_KEYS
from domain.audit_key.commands import RotateAuditKey
from infrastructure.audit.keys import Succession, succeed
from infrastructure.bootstrap import running
from infrastructure.settings import Settings


@click.command("rotate-key")
@click.option(
    "--overlap", type=click.IntRange(0, 730), default=30, show_default=True, help="Days that both keys sign."
)
@pass_settings
def rotate_key(settings: Settings, overlap: int) -> None:
    """Sign checkpoints with another key from now on, beside the one before, so that who pinned that one can follow."""
    succession = run(_rotate_key(settings, timedelta(days=overlap)))
    click.echo(f"signs from now on: {succession.vkey}")
    for vkey in succession.follows:
        click.echo(f"signs beside it until {succession.until:%Y-%m-%d %H:%M} UTC: {vkey}")


async def _rotate_key(settings: Settings, overlap: timedelta) -> Succession:
    async with running(settings, name="audit") as system:
        async with system.pool.connection() as connection:
            succession = await succeed(connection, system.wrapping, overlap)
        if succession is None:
            raise click.ClickException("The log has no key yet; `chancery work` makes the first.")
        rotation = RotateAuditKey(**structs.asdict(succession))
        context = Context(caller=the_system(), request_id="chancery audit rotate-key")
        await system.execute(AUDIT_KEY, AUDIT_KEYS, rotation, context, Need(right=None), upsert=True)
        return succession
