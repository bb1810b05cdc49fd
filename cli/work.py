"""`chancery work`: relay, projector and reactor."""

import rich_click as click
import uvloop

from cli.options import pass_settings
from cli.telling import tell_figures
from infrastructure.logging import configure
from infrastructure.migrations import wait_until_migrated
from infrastructure.settings import Settings
from workers.work import run


@click.command("work")
@pass_settings
def command(settings: Settings) -> None:
    """Carry facts on: relay, projections, reactions. Run as many as you like; each role has one holder."""
    configure(settings, "work")
    tell_figures(settings.metrics_host, settings.work_metrics_port)
    wait_until_migrated(settings.database_url)
    uvloop.run(run(settings))
