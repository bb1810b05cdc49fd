"""A proxy in front of PostgreSQL that cuts connections around the moment a statement was sent."""

import asyncio
import contextlib
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from psycopg.conninfo import conninfo_to_dict, make_conninfo

SYNC = b"S\x00\x00\x00\x04"
"""The last message of every statement a client sends (PostgreSQL protocol 3.0, extended query)."""

UNSENT, UNANSWERED, COMMITTED = "cut before it was sent", "cut before the answer", "cut after the commit"


class Proxy:
    """`url` leads through it. `cuts` counts by kind what happened to connections."""

    def __init__(self, url: str, socket: Path, share: float, seed: int) -> None:
        where = conninfo_to_dict(url)
        self._upstream = f"{where['host']}/.s.PGSQL.{where.get('port', 5432)}"
        self._random, self._share = Random(seed), share
        self._socket = socket
        self.url = make_conninfo(url, host=str(socket.parent))
        self.cuts: Counter[str] = Counter()

    async def run(self, ready: threading.Event) -> None:
        server = await asyncio.start_unix_server(self._serve, self._socket)
        ready.set()
        await server.serve_forever()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_unix_connection(self._upstream)
        cut: list[str] = []

        async def ask() -> None:
            while data := await client.read(1 << 20):
                if data.endswith(SYNC) and self._random.random() < self._share:
                    cut.append(self._random.choice((UNSENT, UNANSWERED, COMMITTED)))
                    if cut == [UNSENT]:
                        return
                to_server.write(data)
                await to_server.drain()
                if cut == [UNANSWERED]:
                    return

        async def answer() -> None:
            while data := await server.read(1 << 20):
                if cut:
                    return
                to_client.write(data)
                await to_client.drain()

        directions = [asyncio.create_task(ask()), asyncio.create_task(answer())]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.cuts.update(cut)
            for end in (*directions, to_server, to_client):
                end.cancel() if isinstance(end, asyncio.Task) else end.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await asyncio.gather(*directions)


@contextlib.contextmanager
def cutting(url: str, *, share: float, seed: int) -> Iterator[Proxy]:
    """A proxy to `url` that cuts this share of the statements, in a thread of its own."""
    with tempfile.TemporaryDirectory(prefix="proxy-") as folder:
        proxy = Proxy(url, Path(folder) / ".s.PGSQL.5432", share, seed)
        loop, ready = asyncio.new_event_loop(), threading.Event()
        running = loop.create_task(proxy.run(ready))
        thread = threading.Thread(target=_until_cancelled, args=(loop, running))
        thread.start()
        assert ready.wait(5)
        try:
            yield proxy
        finally:
            loop.call_soon_threadsafe(running.cancel)
            thread.join(10)
            loop.close()


def _until_cancelled(loop: asyncio.AbstractEventLoop, running: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(running)
    while rest := asyncio.all_tasks(loop):
        rest.pop().cancel()
        loop.run_until_complete(asyncio.sleep(0))
