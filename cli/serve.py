"""`chancery serve`: the HTTP API."""

import rich_click as click

from api.server import PortTaken, serve
from cli.options import pass_settings
from infrastructure.settings import Settings
from infrastructure.watch.shared import counted_together


@click.command("serve")
@pass_settings
def command(settings: Settings) -> None:
    """Serve the HTTP API until Ctrl-C or SIGTERM."""
    with counted_together(settings.http_workers):
        from infrastructure.logging import configure  # noqa: PLC0415 (it counts lines)

        configure(settings, "serve")
        try:
            serve(settings)
        except PortTaken as error:
            raise click.ClickException(str(error)) from None
