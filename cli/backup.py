"""`chancery backup`: everything that cannot be made again, in a folder; the keys to it in another."""

import asyncio
import time
from pathlib import Path
from typing import BinaryIO

import psycopg
import rich_click as click
from click import get_current_context

from cli.auditing import kept_note, kept_option, key_option, show, trusted_keys
from cli.building import again as build_again
from cli.epoch import looked
from cli.options import pass_settings
from infrastructure.audit.report import Report, Verdict
from infrastructure.audit.signed_note import Note, Verifier
from infrastructure.backup.create import create as created
from infrastructure.backup.manifest import SUBJECT_KEYS, BackupRefused
from infrastructure.backup.mark import NOT_MOVED
from infrastructure.backup.restore import restore as restored
from infrastructure.backup.verify import verify as verified
from infrastructure.migrations.applying import Blocked, Refused
from infrastructure.personal_data import Wrapping, wrapping_of
from infrastructure.settings import Settings
from infrastructure.watch.kept_outside import BACKUP, note
from projections.audit_log import AuditLog

FOLDER = click.Path(file_okay=False, path_type=Path)
THERE = click.Path(file_okay=False, exists=True, path_type=Path)
GB = 1e9


@click.group("backup")
def command() -> None:
    """Back up the log, what stands beside it, and files; and bring it all back."""


@command.command("create")
@click.argument("folder", type=FOLDER)
@click.option(
    "--keys-to", required=True, type=FOLDER, help="Where the keys go: apart, and read by nobody else."
)
@click.option(
    "--onto", type=THERE, help="An older backup: contents that it has are linked, not copied again."
)
@pass_settings
def create(settings: Settings, folder: Path, keys_to: Path, onto: Path | None) -> None:
    """Make a backup in FOLDER, as of one position of the log, while everything goes on."""
    _needs_database(settings)
    began = time.monotonic()
    try:
        made = created(settings, folder, keys_to, onto)
        note(settings.database_url, BACKUP)
    except (BackupRefused, OSError, psycopg.Error) as reason:
        raise click.ClickException(_line(reason)) from None
    seconds, size = time.monotonic() - began, _size(folder)
    click.echo(
        f"{folder}: {made.position} events and {made.objects} objects of {made.object_bytes} bytes,"
        f" {size / 1e6:.1f} MB in {seconds:.1f} s, as of {made.made_at}"
    )
    if made.checkpoint is None:
        click.echo("nothing was signed yet: nobody but you can tell that it is the log")
    click.echo(f"{keys_to}: keys and hashes; whoever has both folders may read everything in them")
    if not (keys_to / "key_encryption_key").exists():
        click.echo("the key-encryption key is not among them: keep it where you have it from")


@command.command("verify")
@click.argument("folder", type=THERE)
@click.option("--keys", "keys_in", type=THERE, help="The folder of its keys: look at them, too.")
@key_option
@kept_option
@pass_settings
def verify(
    settings: Settings, folder: Path, keys_in: Path | None, keys: tuple[str, ...], kept: BinaryIO | None
) -> None:
    """Read every byte of the backup in FOLDER, without a server: hashes, every event of the log, the signed root.

    Ends with 0 when it is sound, 2 when something was changed, 3 when something is missing, 4 when it is signed, or
    made, by somebody else.
    """
    began = time.monotonic()
    wrapping = wrapping_of(settings) if settings.key_encryption_key else None
    report = _verified(folder, keys_in, wrapping, trusted_keys(keys), kept_note(kept))
    show(report)
    if report.verdict is Verdict.OK:
        click.echo(f"{_size(folder) / 1e6:.1f} MB read in {time.monotonic() - began:.1f} s")
        if wrapping is None:
            click.echo("who made it was not asked: there is no key-encryption key here")
    get_current_context().exit(int(report.verdict))


@command.command("restore")
@click.argument("folder", type=THERE)
@click.option("--keys", "keys_in", required=True, type=THERE, help="The folder of this backup's keys.")
@click.option(
    "--moved", is_flag=True, help="Nothing was written after it was made: the log goes on as it is."
)
@key_option
@kept_option
@click.pass_context
@pass_settings
def restore(
    settings: Settings,
    context: click.Context,
    folder: Path,
    keys_in: Path,
    keys: tuple[str, ...],
    kept: BinaryIO | None,
    *,
    moved: bool,
) -> None:
    """Bring FOLDER back, into an empty database and an empty bucket. It is verified first.

    Start nothing but the servers before (`chancery up --servers-only`), and nothing after it, until the epoch and the
    keys are told: what serves waits for that.
    """
    _needs_database(settings)
    began = time.monotonic()
    report = _verified(folder, keys_in, None, trusted_keys(keys), kept_note(kept))
    if report.verdict is not Verdict.OK:
        show(report)
        context.exit(int(report.verdict))
    try:
        done = restored(settings, folder, keys_in, moved=moved)
    except (BackupRefused, Refused, Blocked, OSError, psycopg.Error) as reason:
        raise click.ClickException(_line(reason)) from None
    context.invoke(build_again, names=(AuditLog.name,), every=False)
    seconds, size = time.monotonic() - began, _size(folder)
    click.echo(
        f"{done.manifest.position} events and {done.objects} objects came back in {seconds:.1f} s"
        f" ({seconds / (size / GB):.0f} s per GB)"
    )
    click.echo("not in it: sessions, which have ended, and registers for look-ups, which are loaded again")
    if not moved or _went_on(settings):
        click.echo('next: `chancery epoch status`, and `chancery epoch begin --reason "..."`')
    click.echo(
        f"next: `chancery subject-keys restore` with the newest file there is, if not {keys_in / SUBJECT_KEYS}"
    )


def _verified(
    folder: Path,
    keys_in: Path | None,
    wrapping: Wrapping | None,
    trusted: tuple[Verifier, ...],
    kept: Note | None,
) -> Report:
    try:
        return verified(folder, keys_in, wrapping, trusted, kept)
    except (BackupRefused, OSError) as reason:
        raise click.ClickException(_line(reason)) from None


def _went_on(settings: Settings) -> bool:
    """Whether a place outside has seen more than the backup has, or cannot be asked: then an epoch is wanted, too."""
    _, found = asyncio.run(looked(settings, []))
    against = [
        f"{each.place}: {each.contradiction or each.away}"
        for each in found
        if each.contradiction or each.away
    ]
    if against:
        with psycopg.connect(settings.database_owner_url, autocommit=True) as owner:
            owner.execute(NOT_MOVED)
    for each in against:
        click.echo(f"not only moved: {each}")
    return bool(against)


def _needs_database(settings: Settings) -> None:
    if not settings.database_owner_url:
        raise click.ClickException(
            "There is no database: start `chancery up --servers-only`, or set DATABASE_URL."
        )
    if not settings.key_encryption_key:
        raise click.ClickException("There is no key-encryption key: set CHANCERY_KEY_ENCRYPTION_KEY.")


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def _line(reason: Exception) -> str:
    return str(reason).strip().partition("\n")[0] or type(reason).__name__
