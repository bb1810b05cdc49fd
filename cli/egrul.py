"""`chancery egrul`: our own copy of the Russian register of legal entities."""

from collections.abc import Iterator
from pathlib import Path

import rich_click as click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from cli.options import pass_settings
from infrastructure.registers.egrul_archive import files
from infrastructure.registers.egrul_file import EgrulFile, EgrulFileRefused
from infrastructure.registers.egrul_load import EgrulBusy, EgrulEmpty, Mode, Progress, load
from infrastructure.settings import Settings

SHOWN = 20
"""Problems printed; the count is of all."""
_FOLDER = click.Path(exists=True, path_type=Path)


@click.group("egrul")
def command() -> None:
    """The Russian register of legal entities, from the files that the Federal Tax Service gives out."""


@command.command("fill")
@click.argument("folder", type=_FOLDER)
@pass_settings
def fill(settings: Settings, folder: Path) -> None:
    """Replace the register by what stands in FOLDER's XML files, packed in ZIP or not. Searches go on meanwhile."""
    _load(settings, folder, "fill")


@command.command("update")
@click.argument("folder", type=_FOLDER)
@pass_settings
def update(settings: Settings, folder: Path) -> None:
    """Replace every legal entity that FOLDER's files speak of, and leave the others as they are."""
    _load(settings, folder, "update")


def _load(settings: Settings, folder: Path, mode: Mode) -> None:
    if not settings.database_url:
        raise click.ClickException("There is no database: start `chancery up`, or set DATABASE_URL.")
    paths = _paths(folder)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        shown = bar.add_task("files", total=len(paths))

        def progress(done: Progress) -> None:
            bar.update(shown, description=f"{done.entities:,} legal entities, {done.branches:,} branches")

        def read() -> Iterator[EgrulFile]:
            for path in paths:
                yield from files(path, path.name)
                bar.advance(shown)

        try:
            done = load(settings.database_url, read(), mode, progress)
        except (EgrulFileRefused, EgrulBusy, EgrulEmpty) as refused:
            raise click.ClickException(f"{str(refused).rstrip('.')}. Nothing was changed.") from None
    _tell(done)


def _paths(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in (".xml", ".zip") and path.is_file()
    )


def _tell(done: Progress) -> None:
    for problem in done.problems[:SHOWN]:
        click.echo(f"left out {problem.ogrn or 'an entity'} of {problem.file}: {problem.detail}")
    click.echo(
        f"{done.files} file(s) read: {done.entities} legal entities, {done.branches} branches,"
        f" {done.gone} no more, {done.left_out} left out."
    )
    click.echo(f"The register has {done.entries} entries and is valid as of {done.valid_as_of}.")
