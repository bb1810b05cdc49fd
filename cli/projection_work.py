"""What the sub-commands of `chancery projections` share: which are meant, the log they read, how they fail."""

import gc
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import psycopg
import rich_click as click
import uvloop
from psycopg_pool import PoolTimeout
from rich.console import Console
from rich.progress import Progress

from infrastructure.event_codec import EventCodec
from infrastructure.event_log import EventLog
from infrastructure.personal_data import Vault, wrapping_of
from infrastructure.postgres import open_pool
from infrastructure.settings import Settings
from projections.projection import Projection, discover
from workers.failure import told
from workers.places import Busy, Refused
from workers.rebuild import Poisoned

T = TypeVar("T")
NOT_WHOLE = 3
"""Exit code: right as far as it goes, but something of it waits, parked."""
DIFFERENT = 4
"""Exit code: built again it is not what it was, and nobody knows why."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def named(names: Iterable[str]) -> list[str]:
    """Those, or all. Raises click.UsageError for one that is none."""
    known = discover()
    if unknown := [name for name in names if name not in known]:
        raise click.UsageError(f"No projection {', '.join(unknown)}; there are {', '.join(known)}.")
    return list(names) or list(known)


def one(name: str) -> Projection:
    """Raises click.UsageError."""
    (found,) = named([name])
    return discover()[found]


def run(work: Coroutine[Any, Any, T]) -> T:
    """What cannot be done now is one line and exit code 1. Raises click.ClickException."""
    try:
        return uvloop.run(work)
    except (Busy, Refused, Poisoned) as error:
        raise click.ClickException(str(error)) from None
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        raise click.ClickException(f"The database does not do it: {told(error)}") from None


def url_of(settings: Settings) -> str:
    """Raises click.ClickException without a database."""
    if not settings.database_url:
        raise click.ClickException("There is no database: start `chancery up`, or set DATABASE_URL.")
    return settings.database_url


@asynccontextmanager
async def log_of(settings: Settings) -> AsyncGenerator[EventLog]:
    pool = await open_pool(url_of(settings), size=2, name="chancery rebuild")
    gc.set_threshold(
        50_000, 20, 100
    )  # batches of thousands of objects: a sixth of the time else goes into collecting
    async with pool:
        yield EventLog(pool, EventCodec(), Vault(pool, wrapping_of(settings)))


async def built(
    settings: Settings,
    projection: Projection,
    work: Callable[[str, EventLog, Projection, Callable[[int, int], None]], Coroutine[Any, Any, T]],
) -> T:
    """Rebuild or compare, with a bar that moves on a terminal."""
    console = Console(stderr=True)
    async with log_of(settings) as log:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(projection.name)
            return await work(
                settings.database_url,
                log,
                projection,
                lambda at, of: progress.update(task, completed=at, total=of),
            )
