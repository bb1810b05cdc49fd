"""`chancery health`: does a process live, for those who start it again when it does not."""

import http.client

import rich_click as click

from cli.options import pass_settings_needing
from infrastructure.heartbeat import DEAD_SECONDS, silence
from infrastructure.settings import Settings

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what listens everywhere is asked here
_PATIENCE = 5.0


@click.command("health")
@click.argument("process", type=click.Choice(("serve", "work", "jobs")))
@pass_settings_needing()
def command(settings: Settings, process: str) -> None:
    """Exit with 0 when that process lives, else with 1. Whether all is well with it, /readyz and doctor say."""
    trouble = _serve(settings) if process == "serve" else _beat(settings, process)
    if trouble:
        raise click.ClickException(f"{process} {trouble}")
    click.echo(f"{process} lives")


def _serve(settings: Settings) -> str | None:
    """What is wrong with the API on this machine."""
    asking = http.client.HTTPConnection(
        _ANY.get(settings.host, settings.host), settings.port, timeout=_PATIENCE
    )
    try:
        asking.request("GET", f"{settings.root_path}/healthz")
        status = asking.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"does not answer on {settings.host}:{settings.port}: {type(error).__name__}"
    finally:
        asking.close()
    return None if status == http.HTTPStatus.OK else f"answers {status}"


def _beat(settings: Settings, process: str) -> str | None:
    if not settings.health_dir:
        raise click.UsageError(
            "Set CHANCERY_HEALTH_DIR, for the process and here: it shows there that it lives."
        )
    quiet = silence(settings.health_dir, process)
    if quiet is None:
        return f"has left no sign of life in {settings.health_dir}"
    return None if quiet < DEAD_SECONDS else f"has been silent for {quiet:.0f} s"
