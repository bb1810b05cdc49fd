"""A dialog's socket whose other side takes nothing, or has gone; what travels well is in tests/system/test_live.py."""

import asyncio
import json

import pytest

from api import socket as socket_module
from tests.waiting import until

pytestmark = pytest.mark.anyio


class Side:
    """An ASGI server's two ends. It takes frames while `takes` is set; `says` are frames, None that it has gone."""

    def __init__(self) -> None:
        self.sent: list[dict] = []
        self.says: asyncio.Queue[str | None] = asyncio.Queue()
        self.takes = asyncio.Event()
        self.takes.set()
        self._opening = True

    async def receive(self) -> dict:
        if self._opening:
            self._opening = False
            return {"type": "websocket.connect"}
        said = await self.says.get()
        if said is None:
            return {"type": "websocket.disconnect", "code": 1006}
        return {"type": "websocket.receive", "text": said}

    async def send(self, message: dict) -> None:
        if message["type"] == "websocket.send":
            await self.takes.wait()
        self.sent.append(message)

    @property
    def frames(self) -> list[dict]:
        return [json.loads(each["text"]) for each in self.sent if each["type"] == "websocket.send"]

    @property
    def closes(self) -> list[tuple[int, str]]:
        return [(each["code"], each["reason"]) for each in self.sent if each["type"] == "websocket.close"]


@pytest.fixture
async def talk(office):
    """Anna, the address of her dialog with Bert, and what opens a socket to it."""
    anna, bert = await office.user(), await office.user()
    opened = await anna.client.post("/dialogs", json={"user_id": str(bert.id)})
    place = f"/dialogs/{opened.json()['id']}"
    await office.transport._follow()

    def serve(side: Side) -> asyncio.Task[None]:
        credential = anna.client.headers["Authorization"].encode()
        path = f"/api/v1{place}/ws"
        scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"authorization", credential)],
            "client": ("127.0.0.1", 1),
            "server": ("testserver", 80),
            "scheme": "ws",
            "subprotocols": [],
        }
        return asyncio.create_task(office.transport.app(scope, side.receive, side.send))

    return anna, place, serve


async def test_a_side_that_takes_nothing_for_long_is_closed(office, talk, monkeypatch):
    anna, place, serve = talk
    monkeypatch.setattr(office.transport.app.app.state.sockets.streams, "slow", 0.05)
    side = Side()
    serving = serve(side)
    side.says.put_nowait("?")
    await until(lambda: side.frames)
    side.takes.clear()
    await anna.client.post(f"{place}/messages", json={"text": "unseen"})
    await office.transport._follow()
    await until(serving.done)
    assert side.closes == [(1013, "stream.slow")]
    assert [each["event"] for each in side.frames] == ["problem"]


async def test_a_side_that_has_gone_is_closed_without_a_word_and_what_it_said_was_said(office, talk):
    anna, place, serve = talk
    side = Side()
    serving = serve(side)
    side.says.put_nowait(json.dumps({"text": "the last word"}))
    side.says.put_nowait(None)
    await until(serving.done)
    assert side.closes == []
    (found,) = (await anna.client.get(f"{place}/messages")).json()["data"]
    assert found["text"] == "the last word"


async def test_silence_is_a_ping(office, talk, monkeypatch):
    _, _, serve = talk
    monkeypatch.setattr(socket_module, "HEARTBEAT", 0.01)
    side = Side()
    serving = serve(side)
    await until(lambda: any(each["event"] == "ping" for each in side.frames))
    side.says.put_nowait(None)
    await until(serving.done)


async def test_too_many_frames_are_refused_and_the_socket_stays(office, talk, monkeypatch):
    _, _, serve = talk
    side = Side()
    serving = serve(side)
    side.says.put_nowait("?")
    await until(lambda: side.frames)
    with monkeypatch.context() as patched:
        patched.setattr(office.system.limiter, "spend", lambda _: False)

        async def none_left(*_, **__):
            return 7.0

        patched.setattr(office.system.limiter, "take", none_left)
        async with office.nothing_stored():
            side.says.put_nowait(json.dumps({"text": "one more"}))
            await until(lambda: len(side.frames) == 2)
    assert side.frames[1]["code"] == "rate_limited"
    side.says.put_nowait(None)
    await until(serving.done)
    assert side.closes == []
