"""Streams: how many there are, what a slow reader costs, and what ends them."""

import asyncio
from uuid import UUID, uuid4

import pytest

from api import streams as streams_module
from api.streams import FAREWELL, PING, Stream, Streams, StreamsFull, beating

pytestmark = pytest.mark.anyio
WHO = UUID(int=1)


class Reader:
    """An ASGI server's two ends. It takes pieces while `takes` is set, and leaves when `left` is."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.closed = False
        self.takes, self.left, self.began = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.takes.set()

    async def receive(self) -> dict:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict) -> None:
        if message["type"] == "http.response.start":
            self.began.set()
            return
        await self.takes.wait()
        self.taken.append(message["body"])
        self.closed = not message["more_body"]


class Source:
    """Numbers without an end; `made` is how many, `ended` whether it was told to end."""

    def __init__(self) -> None:
        self.made, self.ended = 0, False

    async def pieces(self):
        try:
            while True:
                self.made += 1
                yield b"%d" % self.made
                await asyncio.sleep(0)
        finally:
            self.ended = True


def opened(streams: Streams, source: Source, reader: Reader) -> asyncio.Task[None]:
    return asyncio.create_task(Stream(streams, WHO, source.pieces()).flow(reader.receive, reader.send))


async def test_a_reader_who_takes_nothing_has_one_piece_made_for_him():
    streams, source, reader = Streams(), Source(), Reader()
    reader.takes.clear()
    flow = opened(streams, source, reader)
    await reader.began.wait()
    for _ in range(50):
        await asyncio.sleep(0)
    assert source.made == 1
    reader.left.set()
    await flow
    assert (streams.count, source.ended, reader.taken) == (0, True, [])


async def test_a_reader_who_takes_nothing_for_long_is_left(monkeypatch):
    monkeypatch.setattr(streams_module, "CLOSING", 0.01)
    streams, source, reader = Streams(slow=0.01), Source(), Reader()
    reader.takes.clear()
    await opened(streams, source, reader)
    assert (streams.count, source.made, source.ended) == (0, 1, True)


async def test_a_stopping_server_and_the_end_of_a_turn_end_it_in_order():
    streams, source, reader = Streams(), Source(), Reader()
    flow = opened(streams, source, reader)
    await reader.began.wait()
    streams.stop()
    await flow
    assert (reader.closed, source.ended, streams.count) == (True, True, 0)
    assert reader.taken[-1] == FAREWELL
    source, reader = Source(), Reader()
    await opened(Streams(turn=0.01), source, reader)
    assert (reader.closed, source.ended) == (True, True)


async def test_what_breaks_ends_it_and_the_reader_may_come_again():
    async def broken():
        yield b"1"
        raise OSError("gone")

    streams, reader = Streams(), Reader()
    await Stream(streams, WHO, broken()).flow(reader.receive, reader.send)
    assert (reader.taken, reader.closed, streams.count) == ([b"1", b""], True, 0)


async def test_there_is_a_place_for_so_many_and_for_so_many_of_one():
    streams = Streams(most=3, most_of_one=2)
    with streams.place(WHO), streams.place(WHO):
        with pytest.raises(StreamsFull), streams.place(WHO):
            pass
        with streams.place(uuid4()), pytest.raises(StreamsFull), streams.place(uuid4()):
            pass
    assert streams.count == 0


async def test_silence_becomes_a_comment_when_it_has_lasted(monkeypatch):
    async def mostly_silent():
        for piece in (b"", b"1", b"", b""):
            yield piece

    assert [piece async for piece in beating(mostly_silent())] == [PING, b"1"]
    monkeypatch.setattr(streams_module, "HEARTBEAT", 0.0)
    assert [piece async for piece in beating(mostly_silent())] == [PING, PING, b"1", PING, PING]
