"""A dialog as a WebSocket: what happens in it comes as frames, and each frame sent is a message as by POST.

The socket is opened whatever the handshake brings, then closed with the reason: before that no code reaches anybody.
"""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Router, WebSocket, websocket
from msgspec import Meta, Raw, Struct, json

from api import answers
from api.asking import key_of
from api.auth import Lane, Limits, caller_of, origin_of
from api.commands.message import SendMessageBody
from api.conditions import idempotency_key
from api.errors import Refusal, document, explained
from api.listener import Ended, Heard, Listener
from api.live import Live
from api.queries.event import start_of
from api.queries.records import Progress
from api.reader import reader
from api.refs import Ref, id_of
from api.streams import CLOSING, HEARTBEAT, Streams
from application.access import SessionEnded
from application.context import Context, DryRun
from application.message import Dialogs
from infrastructure.logging import request_id
from infrastructure.tasks import end

LARGEST = 64 << 10
"""Bytes of a frame: 4,096 characters, each escaped, and ten attachments have room."""
REFUSED = 4000
"""What is added to the status of a refusal to make it a close code."""
GOING, NO_TEXT, TOO_LARGE, BROKEN, LATER = 1001, 1003, 1009, 1011, 1013
"""RFC 6455 7.4.1, and the registry of its codes."""
METHOD = "SOCKET"
"""A socket writes, so to whoever judges its handshake it is no GET."""
PATH = "/api/v1/dialogs/{ref}/ws"

Socket = WebSocket[Any, Any, Any]
Close = tuple[int, str]
"""A code, and in a word why."""
_plain = json.Decoder(dict[str, Raw])


class Frame(SendMessageBody, frozen=True, kw_only=True):
    """A message. With an `idempotency_key` it is answered; the same key again, here or by POST, is the same message."""

    idempotency_key: Annotated[str, Meta(min_length=1, max_length=255)] | None = None


class Sockets(Struct, frozen=True, kw_only=True):
    """`enter` judges the handshake, `limits` each frame."""

    dialogs: Dialogs
    live: Live
    streams: Streams
    progress: Progress
    limits: Limits
    enter: Lane

    async def serve(self, socket: Socket, ref: str) -> None:
        await socket.accept()
        try:
            close = await self._serve(socket, ref)
        except Exception as error:  # noqa: BLE001 - a refusal, whichever it is, becomes a close code
            close = _close(explained(error, request_id.get()))
        if close is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSING):
                    await socket.close(*close)

    async def _serve(self, socket: Socket, ref: str) -> Close | None:
        """How it ended; None: the other side has closed."""
        scope: Any = {**socket.scope, "type": "http", "method": METHOD}
        request: Request[Any, Any, Any] = Request(scope)
        await self.enter(request)
        caller, dialog_id = caller_of(request), id_of(ref)
        await self.dialogs.of(caller.actor.id, dialog_id)
        start = start_of(None, request.query_params.get("after"))
        head = await self.progress.written(start or 0)
        start = head if start is None else start
        with self.streams.place(caller.actor.id):
            async with self.live.listening(caller, start) as listener:
                return await Talk(self, socket, listener, dialog_id, request).until_over(start)


class Talk:
    """One open socket."""

    def __init__(
        self,
        sockets: Sockets,
        socket: Socket,
        listener: Listener,
        dialog_id: UUID,
        request: Request[Any, Any, Any],
    ) -> None:
        self._sockets, self._socket, self._listener = sockets, socket, listener
        self._dialog_id, self._request = dialog_id, request

    async def until_over(self, start: int) -> Close | None:
        telling = asyncio.create_task(self._tell(start))
        listening = asyncio.create_task(self._listen())
        stopping = asyncio.create_task(self._sockets.streams.stopping.wait())
        try:
            await asyncio.wait((telling, listening, stopping), return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                return listening.result()
            return telling.result() if telling.done() else (GOING, "server.stopping")
        finally:
            await end(telling, listening, stopping)

    # --- what is told -----------------------------------------------------------------------------------------------

    async def _tell(self, start: int) -> Close:
        live = self._sockets.live
        try:
            async for heard in live.missed(self._listener, start):
                await self._show(heard)
            while True:
                next_heard = await self._listener.next(HEARTBEAT)
                await self._show(
                    next_heard or Heard(name="ping", data=answers.encode({"position": max(start, live.at)}))
                )
        except Ended as ended:
            match ended.why:
                case "session":
                    return _close(explained(SessionEnded("This session is over."), request_id.get()))
                case "slow":
                    return LATER, "stream.slow"
                case _:
                    return BROKEN, "internal"
        except TimeoutError:
            return LATER, "stream.slow"

    async def _show(self, heard: Heard) -> None:
        """What is about this dialog, or about the socket itself."""
        if heard.dialog_id not in (None, self._dialog_id) or heard.name in OTHERS:
            return
        frame = answers.encode({"event": heard.name, **_plain.decode(heard.data)})
        async with asyncio.timeout(self._sockets.streams.slow):
            await self._socket.send_text(frame)

    # --- what is said -----------------------------------------------------------------------------------------------

    async def _listen(self) -> Close | None:
        """Frame by frame, each answered by what follows from it, or by why it was refused."""
        while True:
            message: Any = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return None
            text = message.get("text")
            if text is None:
                return NO_TEXT, "frame.no_text"
            raw = text.encode()
            if len(raw) > LARGEST:
                return TOO_LARGE, "frame.too_large"
            named = secrets.token_hex(16)
            request_id.set(named)
            try:
                await self._say(raw, named)
            except Exception as error:  # noqa: BLE001 - a refusal, whichever it is, is a frame
                refused = explained(error, named)
                if refused.status == 401:
                    return _close(refused)
                self._answer("problem", document(refused, named))

    async def _say(self, raw: bytes, named: str) -> None:
        """Raises what the same message by POST is refused with."""
        sockets, caller = self._sockets, self._listener.caller
        await sockets.limits.caller(caller)
        frame: Frame = reader(Frame).read(raw)
        body = SendMessageBody(text=frame.text, attachments=frame.attachments)
        bare = idempotency_key(frame.idempotency_key)
        path = f"/api/v1/dialogs/{self._dialog_id}/messages"
        context = Context(
            caller=caller,
            request_id=named,
            origin=origin_of(self._request),
            key=None if bare is None else key_of(caller, "POST", path, b"", body, bare),
        )
        said = await sockets.dialogs.send(self._dialog_id, body.text, body.attachments, context)
        assert not isinstance(said, DryRun)
        if bare is not None:
            self._answer("sent", {"id": said.id, "version": said.version, "position": said.position})

    def _answer(self, name: str, data: Mapping[str, Any]) -> None:
        """In line with what is told, so that two never write at once."""
        self._listener.hear(Heard(name=name, data=answers.encode(data)))


OTHERS = frozenset({"unread", "letter.due", "import.progress", "notice.published"})
"""What is no business of a dialog: that is heard at GET /me/stream."""


def _close(refused: Refusal) -> Close:
    if refused.status == 503:
        return LATER, refused.code
    return (REFUSED + refused.status if refused.status < 500 else BROKEN), refused.code


def routes(sockets: Sockets) -> Router:
    @websocket("/{ref:str}/ws")
    async def dialog_socket(socket: Socket, ref: Ref) -> None:
        """One of your dialogs, both ways."""
        await sockets.serve(socket, ref)

    return Router("/dialogs", route_handlers=[dialog_socket])
