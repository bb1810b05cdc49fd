"""`chancery jobs`: work that touches the outside."""

import rich_click as click

from cli.options import pass_settings
from cli.telling import tell_figures
from infrastructure.logging import configure
from infrastructure.migrations import wait_until_migrated
from infrastructure.settings import Settings
from workers.jobs import run


@click.command("jobs")
@pass_settings
def command(settings: Settings) -> None:
    """Run jobs (mail, documents, webhooks, imports) until Ctrl-C or SIGTERM."""
    configure(settings, "jobs")
    tell_figures(settings.metrics_host, settings.jobs_metrics_port)
    wait_until_migrated(settings.database_url)
    run(settings)
