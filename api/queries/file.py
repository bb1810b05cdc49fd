"""GET of files, and of what is in them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from urllib.parse import quote
from uuid import UUID

import msgspec
from litestar import Router, get

from api import answers
from api.answers import Answer, Header
from api.auth import caller_of
from api.conditions import min_position
from api.openapi import problems
from api.problems import NotFound, Problem
from api.queries.past import Streams
from api.queries.records import Asked, Clock, Found, IfNoneMatch, MinPosition, Progress, Read
from api.refs import Ref, id_of
from application.access import Caller, Resource, may
from application.ports import Claims
from domain.file.content import SHOWN_TO_ALL
from domain.file.guards import BINDING
from projections.file import FILES, File

VIEW = "file:view"
_file = msgspec.json.Decoder(File)

Viewer = Callable[[Caller, UUID], Awaitable[bool]]
"""Whether a caller may look at the files that this stream binds; of a stream that is not his to judge a viewer says
False."""


class FileNotReady(Problem):
    """The file's content is not there yet, or is still being looked at."""

    code, status = "file.not_ready", 409


class Contents(Protocol):
    def reading(self, object_id: UUID) -> AbstractAsyncContextManager[AsyncIterator[bytes]]: ...


class FileView(msgspec.Struct, frozen=True, kw_only=True):
    """A file: `pending` until its content is there, `checking` until it was read through, `stored`.

    `text`: null until somebody has tried to read it for the search; `read`, `nothing`, `encrypted`, `damaged`, or
    `too_costly`.
    """

    id: UUID
    version: int
    position: int
    state: str
    created_at: str
    updated_at: str
    owner_id: UUID
    purpose: str
    name: str | None
    size: int
    content_type: str | None
    sha256: str | None
    text: str | None


class Download(Answer[bytes]):
    """An answer that is read from the object store while it is sent; nothing is sent before that is open."""

    def __init__(self, contents: Contents, object_id: UUID | None, headers: Sequence[Header]) -> None:
        assert object_id is not None, "what is stored has a name"
        self.status, self.body, self.fields = 200, b"", list(headers)
        self._contents, self._object_id = contents, object_id

    async def write(self, send: Callable[[Any], Awaitable[None]]) -> None:
        async with self._contents.reading(self._object_id) as pieces:
            await send({"type": "http.response.start", "status": self.status, "headers": self.fields})
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class FileSight:
    """Who may look at a file: its owner, whoever holds file:view, and whoever may see what it is bound to."""

    def __init__(self, claims: Claims, viewers: Mapping[str, Viewer], clock: Clock) -> None:
        """`viewers`: each by the read model that it judges by."""
        self._claims, self._viewers, self._clock = claims, viewers, clock
        self.models = tuple(viewers)

    async def sees(self, caller: Caller, file: File) -> bool:
        if caller.actor.id == file.owner_id:
            return True
        if may(caller, VIEW, Resource(responsible_ids=frozenset({file.owner_id})), self._clock()) is not None:
            return True
        if file.state != "stored":
            return False
        if file.purpose in SHOWN_TO_ALL and caller.actor.kind == "user":
            return True
        binder = await self._claims.owner(BINDING, str(file.id))
        if binder is None:
            return False
        return any([await views(caller, binder) for views in self._viewers.values()])


class BoundFiles:
    """Implements Read. A file that something binds is there for whoever sees that, though its own read model lags."""

    def __init__(self, read: Read, claims: Claims, streams: Streams) -> None:
        self._read, self._claims, self._streams = read, claims, streams
        self.name = read.name

    async def __call__(self, record_id: UUID) -> Found:
        found = await self._read(record_id)
        if found.version and _file.decode(found.view).state == "stored":
            return found
        if await self._claims.owner(BINDING, str(record_id)) is None:
            return found
        view = FILES.replay(await self._streams.recorded(record_id))
        return found if view is None else FromLog(view.version, answers.encode(view), found.position)


class FromLog(msgspec.Struct, frozen=True):
    """Implements Found."""

    version: int
    view: bytes
    position: int


def routes(read: Read, progress: Progress, contents: Contents, sight: FileSight) -> Router:
    async def found(request: Asked, ref: Ref, at_least: str | None) -> tuple[File, Found]:
        if (position := min_position(at_least)) is not None:
            await progress.reached(read.name, position)
        record = await read(id_of(ref))
        if not record.version:
            raise NotFound
        file, caller = _file.decode(record.view), caller_of(request)
        if not await sight.sees(caller, file):
            if position is None:
                raise NotFound
            for model in sight.models:
                await progress.reached(model, position)
            if not await sight.sees(caller, file):
                raise NotFound
        return file, record

    @get("/{ref:str}")
    async def file(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[FileView]:
        """What is known of a file; its content stands under /content."""
        one, record = await found(request, ref, at_least)
        shown = msgspec.to_builtins(one)
        del shown["object_id"]
        return answers.record(answers.encode(shown), one.version, record.position, if_none_match)

    @get("/{ref:str}/content", media_type="*/*", responses=problems(FileNotReady))
    async def file_content(
        request: Asked, ref: Ref, at_least: MinPosition = None, if_none_match: IfNoneMatch = None
    ) -> Answer[bytes]:
        """What is in the file, to be saved rather than shown."""
        one, record = await found(request, ref, at_least)
        if one.state != "stored" or one.content_type is None:
            raise FileNotReady
        tag = f'"{one.sha256}"'
        headers: list[Header] = [
            (b"etag", tag.encode()),
            (b"cache-control", b"private, no-cache"),
            (b"x-projection-position", b"%d" % record.position),
        ]
        if if_none_match is not None and holds(if_none_match, tag):
            return Answer(304, b"", headers)
        headers += [
            (b"content-type", one.content_type.encode()),
            (b"content-length", b"%d" % one.size),
            (b"content-disposition", disposition(one.name or "file").encode()),
        ]
        return Download(contents, one.object_id, headers)

    return Router("/files", route_handlers=[file, file_content])


def holds(if_none_match: str, tag: str) -> bool:
    """RFC 9110 13.1.2: `*`, or one of those listed, whatever its weakness."""
    return any(each.strip().removeprefix("W/") in ("*", tag) for each in if_none_match.split(","))


def disposition(name: str) -> str:
    """RFC 6266: to be saved under this name; who knows no UTF-8 gets it in ASCII."""
    plain = "".join(each if " " <= each <= "~" and each not in '"\\%' else "_" for each in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
