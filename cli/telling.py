"""Where a process that serves nobody tells its figures."""

import rich_click as click
from prometheus_client import start_http_server


def tell_figures(host: str, port: int) -> None:
    """Answers `GET /metrics` there, in a thread; port 0: nowhere. A port that is taken ends the command."""
    if not port:
        return
    try:
        start_http_server(port, host)
    except OSError as error:
        raise click.ClickException(
            f"Cannot tell figures on {host}:{port}: {error.strerror}. Choose another port."
        ) from None
