"""`chancery upgrade`: bring the store to this release while it is in use: migrations, read models, the bucket."""

import psycopg
import rich_click as click

from cli.migrate import Cannot, schema
from cli.options import pass_settings_needing
from cli.projection_work import built, run
from infrastructure.logging import configure
from infrastructure.release import RELEASE
from infrastructure.settings import Settings
from projections.projection import discover
from workers.rebuild import rebuild
from workers.upgrade import Model, Upgrade, look, releases

TO_DO = 1


@click.command("upgrade")
@click.option("--check", "only_check", is_flag=True, help="Say what there is to do, and change nothing.")
@pass_settings_needing("database_url", "database_owner_url", "key_encryption_key")
def command(settings: Settings, *, only_check: bool) -> None:
    """Bring the store to this release, while processes of the one before go on.

    Exit code 0: it is there. 1: with --check, there is something to do. 2: this release cannot, and says why. Harmless
    to repeat; interrupted, it is run again and goes on.
    """
    configure(settings, "upgrade")
    found = _looked(settings)
    if only_check:
        _tell(found)
        raise SystemExit(TO_DO if found.to_do else 0)
    schema(settings)
    for model in found.to_build:
        _build(settings, model)
    _afterwards(found)


def _looked(settings: Settings) -> Upgrade:
    if not settings.database_owner_url:
        raise Cannot("There is no database: start `chancery up`, or set DATABASE_URL.")
    try:
        found = look(settings.database_owner_url)
    except psycopg.Error as error:
        raise Cannot(f"The database does not answer: {str(error).strip().partition(chr(10))[0]}") from None
    if found.refused:
        raise Cannot("\n".join(found.refused))
    return found


def _tell(found: Upgrade) -> None:
    numbers = ", ".join(map(str, found.standing.missing))
    click.echo(f"release {RELEASE}, a store of {found.events} events")
    click.echo(f"migrations to run: {numbers or 'none'}")
    versions = ", ".join(f"{model.name} ({model.version} to {model.ours})" for model in found.to_build)
    about = f", about {found.seconds} s" if found.to_build else ""
    click.echo(f"read models to build again: {versions or 'none'}{about}")
    _afterwards(found)
    click.echo("There is something to do: `chancery upgrade`." if found.to_do else "There is nothing to do.")


def _afterwards(found: Upgrade) -> None:
    if found.standing.older:
        click.echo(f"to be restarted afterwards: processes of {releases(found.standing.older)} are connected")


def _build(settings: Settings, model: Model) -> None:
    """Beside the one that is read meanwhile, then in its place; that one is kept for a rollback."""
    done = run(built(settings, discover()[model.name], rebuild))
    click.echo(
        f"{model.name}: version {model.ours} built from {done.at.count} events, {model.version} is kept",
        err=True,
    )
