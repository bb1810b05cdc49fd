"""Imports: a file is taken in as it streams by, its preview and its end are recorded, and who may apply it."""

from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from typing import ClassVar, Protocol
from uuid import UUID

from msgspec import Struct, structs

from application.access import AccessError, Need, require, system
from application.context import Context, DryRun, TooBusy
from application.execute import Execute
from application.file_content import Objects
from application.ports import NOTHING_ELSE, Answer, Callers, ClaimTaken, EventStore, NewId, Reliance
from domain.file.content import require_size
from domain.imports.aggregate import IMPORT, Import, Nothing
from domain.imports.commands import (
    ApplyImport,
    CancelImport,
    FailImport,
    FinishImport,
    PreviewImport,
    StartImport,
)
from domain.imports.events import FILL, ORGANISATIONS, UPDATE, ImportStarted
from domain.shared import DomainError, Kind

RUN = "import:run"
NEED = Need(right=RUN)
BY_ITSELF = Need(right=None, by="system")


class ImportRunning(DomainError):
    """Another import of this kind is being read or applied: wait for it, or cancel it."""

    code: ClassVar[str] = "import.running"
    kind: ClassVar[Kind] = Kind.CONFLICT


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to be done with a file. `columns`: column of it to field; `encoding`: how it is written."""

    kind: str
    mode: str
    encoding: str | None = None
    columns: dict[str, str] | None = None


class Facts(Wanted, frozen=True, kw_only=True):
    """What a request says and sends, as its idempotency key stands for it."""

    name: str
    size: int
    sha256: str


class Sent(Protocol):
    """A file on its way in with a request; what stands beside it is known when it has ended."""

    @property
    def at_least(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def wanted(self) -> Wanted: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...


class _Passing:
    """The content on its way to the object store; what is learnt of it meanwhile."""

    def __init__(self, sent: Sent, limit: int) -> None:
        self._sent, self._limit, self._hash = sent, limit, sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises FileTooLarge, and what iterating raises."""
        require_size(self._sent.at_least, self._limit)
        async for chunk in self._sent:
            self.size += len(chunk)
            require_size(self.size, self._limit)
            self._hash.update(chunk)
            yield chunk


class Imports:
    """`limit`: bytes a file has at most."""

    def __init__(
        self,
        execute: Execute,
        store: EventStore,
        callers: Callers,
        objects: Objects,
        new_id: NewId,
        limit: int,
    ) -> None:
        self._execute, self._store, self._callers = execute, store, callers
        self._objects, self._new_id, self._limit = objects, new_id, limit

    async def start(self, sent: Sent, context: Context, asked: Callable[[Facts], Context]) -> Answer | DryRun:
        """Takes the file in and records it; what is in it is for a job to read. Whatever is refused leaves nothing.

        `asked` adds to the context what only the whole request tells. Raises ImportRunning, FileTooLarge.
        """
        await self._execute.admit(context, RUN)
        import_id, passing = self._new_id(), _Passing(sent, self._limit)
        if context.dry_run:
            async for _ in passing:
                pass
        else:
            await self._objects.store(import_id, passing)
        try:
            facts = Facts(
                name=sent.name, size=passing.size, sha256=passing.sha256, **structs.asdict(sent.wanted)
            )
            command = StartImport(object_id=import_id, **structs.asdict(facts))
            answer = await self._execute(
                IMPORT, import_id, command, asked(facts), NEED, new=True, taken=_running
            )
        except (DomainError, AccessError, TooBusy):  # after anything else it may be recorded all the same
            await self._objects.discard(import_id)
            raise
        if isinstance(answer, Answer) and answer.id != import_id:  # the answer to an earlier request
            await self._objects.discard(import_id)
        return answer

    async def apply(self, import_id: UUID, context: Context) -> Answer | DryRun:
        """A job writes its rows, as the caller: he must have the rights to each thing it does."""
        return await self._execute(
            IMPORT,
            import_id,
            ApplyImport(applied_by=context.caller.actor),
            context,
            Need(right=RUN, view=RUN),
            relies=lambda: self._rights(import_id, context),
            taken=_running,
        )

    async def cancel(self, import_id: UUID, context: Context) -> Answer | DryRun:
        """A job that applies it stops after the batch it is at; what is written by then stays."""
        return await self._execute(IMPORT, import_id, CancelImport(), context, Need(right=RUN, view=RUN))

    async def state(self, import_id: UUID) -> Import:
        """As the log has it now."""
        return (await self._store.load(IMPORT, import_id, fresh=True)).state

    async def report(self, import_id: UUID, told: PreviewImport | FinishImport | FailImport) -> None:
        """What the job that does it has to say; nothing when it was canceled meanwhile."""
        context = Context(caller=system(), request_id=f"import.{import_id}")
        await self._execute(IMPORT, import_id, told, context, BY_ITSELF)

    async def _rights(self, import_id: UUID, context: Context) -> Reliance:
        state = await self.state(import_id)
        if not isinstance(state, Nothing):
            caller, now = await self._callers.caller(context.caller), self._execute.clock()
            for right in rights(state.about):
                require(caller, right, now)
        return NOTHING_ELSE


def rights(about: ImportStarted) -> tuple[str, ...]:
    """What one must be allowed, besides running imports, for this one to be applied."""
    if about.kind != ORGANISATIONS:
        return ()
    create, edit = ("organisation:create",), ("organisation:edit",)
    return create if about.mode == FILL else edit if about.mode == UPDATE else create + edit


def _running(taken: ClaimTaken) -> DomainError:  # noqa: ARG001 - there is one claim
    return ImportRunning("Another import of this kind is at work.")
