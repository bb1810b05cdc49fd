"""What people hear while they listen: one entry for each kind of fact that somebody is told of at once."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from api.queries.imports import Progress, complete
from api.queries.records import Read
from application.access import ANYTHING, Caller, Resource, may
from domain.dialog.events import DialogRead
from domain.imports.events import (
    Counts,
    ImportApplied,
    ImportApplyBegan,
    ImportCanceled,
    ImportFailed,
    ImportPreviewed,
)
from domain.letter.events import LetterFellDue
from domain.message.events import MessageRead, MessageSent
from domain.notice.events import NoticePublished
from domain.shared import Event, Recorded, Stored
from infrastructure.imports.progress import ImportProgress
from projections.dialog import DIALOGS, Dialog
from projections.imports import IMPORTS, Import
from projections.letter import LETTERS, Letter
from projections.message import MESSAGES
from projections.notice import NOTICES

Judge = Callable[[Caller], bool]


class Told(Struct, frozen=True, kw_only=True):
    """What a fact says: `name` and `data`, to these users, or to whoever listens (None), if he may know it.

    `counts`: whose unread messages are so many more or fewer. `dialog_id`: where it was said.
    """

    name: str
    data: Any
    to: Collection[UUID] | None = None
    counts: Collection[UUID] = ()
    dialog_id: UUID | None = None
    judge: Judge | None = None


class Known:
    """What a fact leaves out: single records as they are now."""

    def __init__(self, reads: Mapping[str, Read], progress: ImportProgress, clock: Callable[[], Any]) -> None:
        self._reads, self.progress, self.clock = reads, progress, clock

    async def dialog(self, dialog_id: UUID) -> Dialog:
        return msgspec.json.decode((await self._reads[DIALOGS.name](dialog_id)).view, type=Dialog)

    async def letter(self, letter_id: UUID) -> Letter:
        return msgspec.json.decode((await self._reads[LETTERS.name](letter_id)).view, type=Letter)

    async def an_import(self, import_id: UUID) -> Import | None:
        found = await self._reads[IMPORTS.name](import_id)
        return msgspec.json.decode(found.view, type=Import) if found.version else None

    def judge(self, right: str, about: Resource = ANYTHING) -> Judge:
        return lambda caller: may(caller, right, about, self.clock()) is not None


class Topic(Struct, frozen=True, kw_only=True):
    """`models`: the read models whose GET shows what is told; it is told when they have it.

    `names`: whom the stored fact itself names, so that nobody opens what concerns no listener.
    """

    models: tuple[str, ...]
    tell: Callable[[Recorded[Any], Known], Awaitable[Told | None]]
    names: Callable[[bytes], Collection[UUID]] | None = None


class _Sides(Struct, frozen=True):
    sender_id: UUID
    recipient_id: UUID


class _Users(Struct, frozen=True):
    user_ids: tuple[UUID, ...] = ()


_sides, _users = msgspec.json.Decoder(_Sides), msgspec.json.Decoder(_Users)


def _between(state: bytes) -> Collection[UUID]:
    sides = _sides.decode(state)
    return sides.sender_id, sides.recipient_id


def _for(state: bytes) -> Collection[UUID]:
    return _users.decode(state).user_ids


async def _sent(recorded: Recorded[MessageSent], _: Known) -> Told:
    event = recorded.event
    return Told(
        name="message.new",
        data=MESSAGES.replay([recorded]),
        to=(event.sender_id, event.recipient_id),
        counts=(event.recipient_id,),
        dialog_id=event.dialog_id,
    )


class ReadMark(Struct, frozen=True, kw_only=True):
    """One side of a dialog has read a message, or (`dialog.read`) all that was sent to it as far as that message."""

    position: int
    dialog_id: UUID
    message_id: UUID
    reader_id: UUID
    read_at: datetime


async def _read(recorded: Recorded[MessageRead], known: Known) -> Told:
    event = recorded.event
    mark = ReadMark(
        position=recorded.position,
        dialog_id=event.dialog_id,
        message_id=recorded.stream_id,
        reader_id=event.reader_id,
        read_at=event.read_at,
    )
    return await _marked("message.read", mark, known)


async def _read_up_to(recorded: Recorded[DialogRead], known: Known) -> Told:
    event = recorded.event
    mark = ReadMark(
        position=recorded.position,
        dialog_id=recorded.stream_id,
        message_id=event.message_id,
        reader_id=event.reader_id,
        read_at=event.read_at,
    )
    return await _marked("dialog.read", mark, known)


async def _marked(name: str, mark: ReadMark, known: Known) -> Told:
    return Told(
        name=name,
        data=mark,
        to=(await known.dialog(mark.dialog_id)).user_ids,
        counts=(mark.reader_id,),
        dialog_id=mark.dialog_id,
    )


class Due(Struct, frozen=True, kw_only=True):
    """A letter that should have been answered by now."""

    id: UUID
    number: str | None
    subject: str | None
    due_on: date


async def _due(recorded: Recorded[LetterFellDue], known: Known) -> Told:
    letter = await known.letter(recorded.stream_id)
    places = frozenset(("organisation", str(each)) for each in letter.organisation_ids)
    return Told(
        name="letter.due",
        data=Due(id=letter.id, number=letter.number, subject=letter.subject, due_on=recorded.event.due_on),
        to=recorded.event.user_ids,
        judge=known.judge("letter:view", Resource(scopes=places)),
    )


async def _published(recorded: Recorded[NoticePublished], _: Known) -> Told:
    return Told(name="notice.published", data=NOTICES.replay([recorded]))


class ImportStep(Struct, frozen=True, kw_only=True):
    """How far an import is, as `GET /imports/{id}` has it."""

    id: UUID
    kind: str
    name: str
    state: str
    progress: Progress
    counts: Counts


async def _moved(recorded: Recorded[Any], known: Known) -> Told | None:
    return await import_step(recorded.stream_id, known)


async def import_step(import_id: UUID, known: Known) -> Told | None:
    """Of whoever began it or has it applied, as long as he may run imports; None: it is not there yet."""
    view = await known.an_import(import_id)
    if view is None:
        return None
    shown = complete(view, await known.progress.of(import_id))
    step = ImportStep(
        id=view.id,
        kind=view.kind,
        name=view.name,
        state=view.state,
        progress=shown.progress,
        counts=shown.counts,
    )
    people = {each.id for each in (view.started_by, view.applied_by) if each is not None}
    return Told(name="import.progress", data=step, to=people, judge=known.judge("import:run"))


_DIALOG = (MESSAGES.name, DIALOGS.name)
_IMPORT = Topic(models=(IMPORTS.name,), tell=_moved)
TOPICS: Mapping[type[Event], Topic] = {
    MessageSent: Topic(models=_DIALOG, tell=_sent, names=_between),
    MessageRead: Topic(models=_DIALOG, tell=_read),
    DialogRead: Topic(models=_DIALOG, tell=_read_up_to),
    LetterFellDue: Topic(models=(LETTERS.name,), tell=_due, names=_for),
    NoticePublished: Topic(models=(NOTICES.name,), tell=_published),
    ImportPreviewed: _IMPORT,
    ImportApplyBegan: _IMPORT,
    ImportApplied: _IMPORT,
    ImportCanceled: _IMPORT,
    ImportFailed: _IMPORT,
}
"""A new thing to hear is one entry here."""


_BY_STEM = {event.TOPIC.rpartition(".")[0]: topic for event, topic in TOPICS.items()}
NOUNS = tuple(sorted({stem.partition(".")[0] for stem in _BY_STEM}))


def topic_of(stored: Stored) -> Topic | None:
    """In whatever version the fact was stored."""
    return _BY_STEM.get(stored.topic.rpartition(".")[0])
