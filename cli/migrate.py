"""`chancery migrate`: the half of `chancery upgrade` that needs the owner's password and no other secret."""

import psycopg
import rich_click as click

from cli.options import pass_settings_needing
from infrastructure import bucket
from infrastructure.migrations import apply
from infrastructure.migrations.applying import Blocked, Refused
from infrastructure.object_parts import StoreUnavailable
from infrastructure.settings import Settings


class Cannot(click.ClickException):
    """What this release could not do, or did not get through with: nothing of it is half done."""

    exit_code = 2


@click.command("migrate")
@pass_settings_needing("database_url", "database_owner_url")
def command(settings: Settings) -> None:
    """Bring the database up to date, and make the S3 bucket where it is missing. Harmless to repeat.

    For a container that holds the owner's password alone: read models of another version `chancery work` builds again.
    """
    schema(settings)


def schema(settings: Settings) -> None:
    """Says on stderr what it did. Raises Cannot."""
    if not settings.database_owner_url:
        raise Cannot("There is no database: start `chancery up`, or set DATABASE_URL.")
    try:
        ran = apply(settings)
        click.echo(f"{ran} migration(s) applied" if ran else "The database is up to date", err=True)
        made = bool(settings.s3_endpoint) and bucket.make(settings)
    except (Blocked, Refused, StoreUnavailable, psycopg.Error) as reason:
        raise Cannot(str(reason).strip()) from None
    if made:
        click.echo(f"Bucket {settings.s3_bucket} made", err=True)
