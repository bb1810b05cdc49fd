"""GET /me/stream: what concerns somebody, told as it happens."""

from collections.abc import AsyncGenerator

from litestar import Router, get

from api.answers import Answer
from api.auth import caller_of
from api.conditions import PositionUnknown
from api.listener import Ended, Heard
from api.live import Live
from api.openapi import problems
from api.queries.event import LastEventId, StartAfter, start_of
from api.queries.records import Asked, Progress
from api.streams import HEARTBEAT, Stream, Streams, StreamsFull, message, silence
from application.access import AccessError, Caller


async def told(live: Live, caller: Caller, start: int) -> AsyncGenerator[bytes, None]:
    """Until his session ends, or he is too slow."""
    yield silence(start)
    try:
        async with live.listening(caller, start) as listener:
            async for heard in live.missed(listener, start):
                yield _event(heard)
            while True:
                next_heard = await listener.next(HEARTBEAT)
                yield silence(max(start, live.at)) if next_heard is None else _event(next_heard)
    except (Ended, AccessError):
        return


def _event(heard: Heard) -> bytes:
    return message(heard.position, heard.data, heard.name)


def routes(live: Live, progress: Progress, streams: Streams) -> Router:
    @get("/stream", media_type="text/event-stream", responses=problems(PositionUnknown, StreamsFull))
    async def own_stream(
        request: Asked, after: StartAfter = None, last_event_id: LastEventId = None
    ) -> Answer[bytes]:
        """What concerns you, as server-sent events: `event` says what, `id` is the position, `data` what a GET shows.

        `message.new`, `message.read`, `dialog.read`, `unread`, `letter.due`, `import.progress`, `notice.published`.
        It begins with your `unread` messages. A ping every 15 seconds shows that it is there. It ends after 15 minutes,
        with your session, or when the server stops: come again with `Last-Event-ID`, as browsers do by themselves.
        After a long absence `reset` says that there was too much to tell: read again what you show.
        """
        caller = caller_of(request)
        start = start_of(after, last_event_id)
        head = await progress.written(start or 0)
        pieces = told(live, caller, head if start is None else start)
        return Stream(streams, caller.actor.id, pieces)

    return Router("/me", route_handlers=[own_stream])
