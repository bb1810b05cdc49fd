"""`chancery work`: relay, projector and reactor."""

import rich_click as click
import uvloop

from cli.options import pass_settings
from infrastructure.settings import Settings
from workers.work import run


@click.command("work")
@pass_settings
def command(settings: Settings) -> None:
    """Carry facts on: relay, projections, reactions. Run as many as you like; each role has one holder."""
    uvloop.run(run(settings))
