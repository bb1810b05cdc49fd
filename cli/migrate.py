"""`chancery migrate`: bring the database up to date, and make the bucket for files."""

import rich_click as click

from cli.options import pass_settings_needing
from infrastructure import bucket
from infrastructure.migrations import apply
from infrastructure.object_parts import StoreUnavailable
from infrastructure.settings import Settings


@click.command("migrate")
@pass_settings_needing("database_url", "database_owner_url")
def command(settings: Settings) -> None:
    """Bring the database up to date, and make the S3 bucket where it is missing. Harmless to repeat."""
    if not settings.database_owner_url:
        raise click.ClickException("There is no database: start `chancery up`, or set DATABASE_URL.")
    ran = apply(settings)
    click.echo(f"{ran} migration(s) applied" if ran else "The database is up to date", err=True)
    if settings.s3_endpoint:
        try:
            made = bucket.make(settings)
        except StoreUnavailable as error:
            raise click.ClickException(str(error)) from None
        if made:
            click.echo(f"Bucket {settings.s3_bucket} made", err=True)
