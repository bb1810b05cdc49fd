"""An import's work: its file is read for the preview, then applied, by whichever attempt holds the lease."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import UUID

import structlog
from msgspec import structs

from application.access import AccessError, Caller, Forbidden, require
from application.access import system as by_itself
from application.context import Context
from application.file_content import ObjectMissing
from application.imports import RUN
from domain.imports.aggregate import (
    Applied,
    Applying,
    Canceled,
    Failed,
    Import,
    Nothing,
    Previewed,
    Reading,
)
from domain.imports.commands import FailImport, FinishImport, PreviewImport
from domain.imports.events import ORGANISATIONS, Counts, ImportApplyBegan, ImportStarted
from domain.shared import Actor, Stored
from infrastructure.bootstrap import System, clock
from infrastructure.imports.file import FailedRow, FileRefused, fetched
from infrastructure.imports.progress import ImportProgress, Pending, Progress
from workers.failure import told

T = TypeVar("T")
UNAPPLIED, KEPT = timedelta(days=7), timedelta(days=30)
"""How long a preview waits for somebody's word, and how long failed rows can be downloaded."""
CATCH_UP = 60.0
"""Seconds that a read model has to get to where the log is."""


_log = structlog.get_logger("imports")


class Stopped(Exception):
    """Somebody has canceled it, or another attempt has brought it to its end."""


class StillImporting(Exception):
    """A job has this import in its hands."""


class Job:
    """One attempt at a step of one import."""

    def __init__(
        self, system: System, import_id: UUID, about: ImportStarted, path: Path, progress: Progress
    ) -> None:
        self.system, self.id, self.about, self.path, self.progress = system, import_id, about, path, progress
        self._loop, self._left = asyncio.get_running_loop(), threading.Event()
        self._state: type[Import] = Applying if progress.step == "applying" else Reading

    async def keep(self, failed: Sequence[FailedRow] = ()) -> None:
        """Writes down how far it is. Raises Stopped."""
        await self.system.import_progress.keep(self.id, self.progress, failed)
        if not isinstance(await self.system.imports.state(self.id), self._state):
            raise Stopped

    def keep_from_thread(self, failed: Sequence[FailedRow] = ()) -> None:
        """The same, from a thread. Raises Stopped also when nobody waits for the thread any more."""
        if self._left.is_set():
            raise Stopped
        asyncio.run_coroutine_threadsafe(self.keep(failed), self._loop).result()

    async def thread(self, work: Callable[[], T]) -> T:
        """Blocking work; the event loop is everybody's. Whoever is cancelled waits for it to notice."""
        task = asyncio.create_task(asyncio.to_thread(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._left.set()
            with suppress(Exception):
                await task
            raise

    async def caught_up(self, projection: str) -> None:
        """Returns when the read model knows what the log does now. Raises Behind."""
        head = await self.system.log.head()
        await self.system.positions.reached(projection, head, seconds=CATCH_UP)


class Applier(Protocol):
    """How one kind of file is read and applied."""

    async def preview(self, job: Job) -> None:
        """Fills the job's progress. Raises FileRefused, Stopped."""
        ...

    async def apply(self, job: Job, writer: "As") -> None:
        """Goes on where the job's progress stands. Raises FileRefused, Stopped."""
        ...


class As:
    """As whom rows are written, and since which position of the log."""

    def __init__(self, system: System, import_id: UUID, actor: Actor, began: Stored) -> None:
        self._system, self._id, self._actor, self._cause = system, import_id, actor, began.event_id
        self.began_at = began.position

    async def caller(self) -> Caller:
        """With the rights he has now. Raises FileRefused when he may not import any more."""
        caller = await self._system.actors.caller(self._actor)
        try:
            if caller is None:
                raise Forbidden("Whoever applied it may not act any more.")
            require(caller, RUN, clock())
        except AccessError as error:
            raise FileRefused("import.not_allowed", error.detail) from None
        return caller

    def context(self, caller: Caller, part: str, **more: Any) -> Context:
        return Context(caller=caller, request_id=f"import.{self._id}.{part}", cause=self._cause, **more)


async def read(system: System, import_id: UUID, appliers: dict[str, Applier], *, last: bool) -> None:
    """The file, to its end, for the preview: each attempt from the beginning."""
    state = await system.imports.state(import_id)
    if not isinstance(state, Reading):
        return
    about, progress = state.about, Progress()
    await system.import_progress.begin(import_id, progress)
    async with _reported(system, import_id, last=last):
        async with fetched(system.objects, about.object_id) as path:
            await appliers[about.kind].preview(Job(system, import_id, about, path, progress))
        await system.import_progress.keep(import_id, progress)
        found = PreviewImport(
            format=progress.format or "",
            encoding=progress.encoding or "",
            total=progress.processed,
            counts=progress.counts,
        )
        await system.imports.report(import_id, found)


async def apply(system: System, import_id: UUID, appliers: dict[str, Applier], *, last: bool) -> None:
    """The file's rows, on from where an earlier attempt came to."""
    state = await system.imports.state(import_id)
    if not isinstance(state, Applying):
        return
    about = state.about
    progress = await _applying(system.import_progress, import_id, about)
    async with _reported(system, import_id, last=last):
        writer = As(system, import_id, state.applied_by, await _began(system, import_id))
        async with fetched(system.objects, about.object_id) as path:
            await appliers[about.kind].apply(Job(system, import_id, about, path, progress), writer)
        await system.import_progress.keep(import_id, progress)
        await system.imports.report(import_id, FinishImport(counts=progress.counts))


async def _applying(kept: ImportProgress, import_id: UUID, about: ImportStarted) -> Progress:
    """As an earlier attempt left it, or from the start, with what the preview has found out.

    Which rows of a table of organisations fail depends on whoever applies it; of other files, on the file alone.
    """
    progress = await kept.of(import_id) or Progress()
    if progress.step != "applying":
        anew = about.kind == ORGANISATIONS
        progress = structs.replace(
            progress,
            step="applying",
            processed=0,
            total=progress.processed,
            counts=Counts(),
            pending=Pending(batch=0, counts=progress.counts),
            problems=[] if anew else progress.problems,
        )
        await (kept.begin if anew else kept.keep)(import_id, progress)
    return progress


async def _began(system: System, import_id: UUID) -> Stored:
    """The event that all of it follows from."""
    stored = await system.log.stream(import_id)
    return next(each for each in stored if each.topic == ImportApplyBegan.TOPIC)


@asynccontextmanager
async def _reported(system: System, import_id: UUID, *, last: bool) -> AsyncGenerator[None]:
    """What goes wrong inside ends the import where trying again would not help."""
    try:
        yield
    except Stopped:  # canceled, or another attempt has it: whoever did that has recorded it
        _log.info("import.stopped", import_id=str(import_id))
    except FileRefused as refused:
        await system.imports.report(import_id, FailImport(error=refused.code, detail=refused.detail))
    except ObjectMissing:
        await system.imports.report(
            import_id,
            FailImport(error="file.missing", detail="The file is not in the object store any more."),
        )
    except Exception as error:
        if last:
            await system.imports.report(import_id, FailImport(error="import.broken", detail=told(error)))
        raise


async def clear(system: System, import_id: UUID) -> None:
    """It is over: the object store need not keep the file, whose rows may be about people."""
    state = await system.imports.state(import_id)
    if isinstance(state, Applied | Canceled | Failed):
        await system.objects.remove(state.about.object_id)


async def forget(system: System, import_id: UUID) -> None:
    """Whoever sent the file was forgotten: what is not over ends, and of the file nothing is kept.

    Raises StillImporting while a job may be at it, which writes down how far it came before it sees that it is over.
    """
    state = await system.imports.state(import_id)
    if isinstance(state, Nothing):
        return
    if isinstance(state, Reading | Previewed | Applying):
        await system.imports.cancel(import_id, Context(caller=by_itself(), request_id="import.forget"))
    await system.objects.remove(state.about.object_id)
    await system.import_progress.drop(import_id)
    if isinstance(state, Reading | Applying):
        raise StillImporting


async def expire(system: System) -> None:
    """Cancels previews that nobody has applied for a week, and forgets the rows of what is a month old."""
    for import_id in await system.import_progress.idle(UNAPPLIED, 1_000):
        if isinstance(await system.imports.state(import_id), Previewed):
            await system.imports.cancel(import_id, Context(caller=by_itself(), request_id="import.expire"))
    await system.import_progress.forget(KEPT)
