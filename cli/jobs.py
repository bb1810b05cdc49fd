"""`chancery jobs`: work that touches the outside."""

import rich_click as click

from cli.options import pass_settings
from infrastructure.settings import Settings
from workers.jobs import run


@click.command("jobs")
@pass_settings
def command(settings: Settings) -> None:
    """Run jobs (mail, documents, webhooks, imports) until Ctrl-C or SIGTERM."""
    run(settings)
