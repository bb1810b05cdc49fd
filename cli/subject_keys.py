"""`chancery subject-keys`: the keys of people's data, kept apart from the log, so that no restore undoes an erasure."""

from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import rich_click as click
import uvloop

from cli.building import again as build_again
from cli.options import pass_settings
from infrastructure import subject_keys
from infrastructure.bootstrap import running
from infrastructure.personal_data import wrapping_of
from infrastructure.settings import Settings
from infrastructure.subject_key_file import KeysRefused
from infrastructure.watch.kept_outside import SUBJECT_KEYS, note

T = TypeVar("T")
FILE = click.Path(dir_okay=False, path_type=Path)


@click.group("subject-keys")
def command() -> None:
    """The keys under which personal data are sealed: back them up apart, more often than the log."""


@command.command("backup")
@click.argument("file", type=FILE)
@pass_settings
def backup(settings: Settings, file: Path) -> None:
    """Write every key, wrapped, to FILE, in the place of the backup that stands there."""
    kept = _run(subject_keys.backup(_url(settings.database_url), wrapping_of(settings), file))
    note(settings.database_url, SUBJECT_KEYS)
    click.echo(
        f"{kept.keys} keys as of position {kept.position} in {file}, {kept.destroyed} of them destroyed."
    )


@command.command("restore")
@click.argument("file", type=FILE)
@click.pass_context
@pass_settings
def restore(settings: Settings, context: click.Context, file: Path) -> None:
    """Apply FILE to a database that was restored, before anything is served from it: whoever was forgotten stays so.

    Stop `serve`, `work` and `jobs` first. Keys that were destroyed are destroyed here, too, and the log is told where
    it does not know; then every read model is built again. May be repeated.
    """
    done = _run(subject_keys.restore(_url(settings.database_owner_url), wrapping_of(settings), file))
    click.echo(f"{done.added} keys added, {done.destroyed} destroyed.")
    for noun, person in _run(_told_again(settings)):
        click.echo(f"The log calls {noun} {person} erased again.")
    if done.to_build:
        context.invoke(build_again, names=done.to_build, every=False)
    _run(subject_keys.served_again(_url(settings.database_owner_url)))


async def _told_again(settings: Settings) -> Sequence[tuple[str, UUID]]:
    async with running(settings, name="subject keys") as system:
        async with system.pool.connection() as connection:
            found = await subject_keys.unrecorded(connection)
        for person, noun in found:
            await system.erasures.again(noun, person)
    return [(noun, person) for person, noun in found]


def _url(url: str) -> str:
    if not url:
        raise click.ClickException("There is no database: start `chancery up`, or set DATABASE_URL.")
    return url


def _run(asked: Coroutine[Any, Any, T]) -> T:
    try:
        return uvloop.run(asked)
    except KeysRefused as refused:
        raise click.ClickException(str(refused)) from None
