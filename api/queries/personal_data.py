"""GET of everything that is held about one person."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from litestar import Router, get
from msgspec import Struct

from api.answers import JSON, Answer, Header
from api.asking import Asked, context
from api.openapi import problems
from api.queries.file import disposition
from api.queries.records import Progress
from api.refs import Ref, id_of
from domain.user.refusals import UserIsErased, UserUnknown
from projections.export import Export
from projections.file import File
from projections.grant import Grant
from projections.message import Message
from projections.session import Session
from projections.user import User


class Told(Struct, frozen=True, kw_only=True):
    """What happened to him, as the log has it."""

    position: int
    topic: str
    recorded_at: datetime
    data: dict[str, Any]


class Done(Struct, frozen=True, kw_only=True):
    """What he did, on which record, from where."""

    position: int
    topic: str
    record_id: UUID
    recorded_at: datetime
    address: str | None
    agent: str | None


class PersonalData(Struct, frozen=True, kw_only=True):
    """Everything that is held about one person, as of `position`; `messages` are those he sent."""

    id: UUID
    position: int
    profile: User
    events: list[Told]
    sessions: list[Session]
    messages: list[Message]
    files: list[File]
    grants: list[Grant]
    exports: list[Export]
    activity: list[Done]


class Exported(Protocol):
    """Of a command's answer: where in the log it stands that the data was given out."""

    @property
    def position(self) -> int: ...


class Recording(Protocol):
    async def export(self, user_id: UUID, context: Any) -> Exported:
        """Raises UserUnknown, UserIsErased, and what says that the caller may not."""
        ...


class Pieces(Protocol):
    def pieces(self, user_id: UUID, position: int) -> AsyncIterator[bytes]: ...


class Flowing(Answer[PersonalData]):
    """An answer that is made while it is sent, of whatever length."""

    def __init__(self, pieces: AsyncIterator[bytes], headers: Sequence[Header]) -> None:
        self.status, self.body, self.fields = 200, b"", list(headers)
        self._pieces = pieces

    async def write(self, send: Callable[[Any], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.fields})
        async for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def routes(recording: Recording, personal: Pieces, progress: Progress, models: Sequence[str]) -> Router:
    @get("/{ref:str}/personal-data", responses=problems(UserUnknown, UserIsErased))
    async def personal_data(request: Asked, ref: Ref) -> Answer[PersonalData]:
        """Everything that is held about a person, to be handed to him. That it was given out is an event."""
        user_id = id_of(ref)
        head = await progress.written(0)
        for model in models:
            await progress.reached(model, head)
        told = await recording.export(user_id, context(request, None, None, None))
        headers: list[Header] = [
            JSON,
            (b"content-disposition", disposition(f"personal-data-{user_id}.json").encode()),
            (b"cache-control", b"no-store"),
            (b"x-projection-position", b"%d" % told.position),
            (b"x-event-position", b"%d" % told.position),
        ]
        return Flowing(personal.pieces(user_id, told.position), headers)

    return Router("/users", route_handlers=[personal_data], tags=["Users"])
