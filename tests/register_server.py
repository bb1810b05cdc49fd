"""A service outside, as real as a socket: answers what a test says, well or badly, and remembers what it was asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlsplit

Answer = Callable[[asyncio.StreamWriter], object]


def says(body: object, status: int = 200) -> bytes:
    return raw(json.dumps(body).encode(), status)


def raw(
    body: bytes, status: int = 200, kind: str = "application/json", more: str = "", length: int | None = None
) -> bytes:
    head = (
        f"HTTP/1.1 {status} So\r\ncontent-type: {kind}\r\n{more}"
        f"content-length: {len(body) if length is None else length}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


MISBEHAVIOURS = {
    "500": raw(b"oops", 500),
    "wrong JSON": says({"results": [{"full_name": 7}]}),
    "no JSON": raw(b"{"),
    "HTML": raw(b"<html>Log in to the network</html>", kind="text/html"),
    "redirect": raw(b"", 302, more="location: http://127.0.0.1:1/\r\n"),
    "cut off": raw(b'{"results": [', length=5_000),
    "10 MB": says({"results": [], "next": "x" * 10_000_000}),
    "packed": raw(b"\x1f\x8b", more="content-encoding: gzip\r\n"),
    "NUL": says({"results": [], "next": "\0"}),
    "deep": raw(b"[" * 100_000),
    "not HTTP": b"220 mail.example ESMTP\r\n",
    "hangs up": b"",
    "too many requests": raw(b"", 429),
}
SLOW = None
"""Takes the question and says nothing."""


class RegisterServer:
    """`at[path]` is what it says there, bytes or a function of the query; `always` what it says instead."""

    def __init__(self) -> None:
        self.at: dict[str, object] = {}
        self.always: object = ...
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.url = ""
        self._server: asyncio.Server | None = None
        self._port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Nobody listens there any more."""
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode()
            address = urlsplit(line.split(" ")[1])
            query = dict(parse_qsl(address.query))
            self.asked.append((address.path, query))
            said = self.at.get(address.path, says({"detail": "Не найдено."}, 404))
            if self.always is not ...:
                said = self.always
            if callable(said):
                said = said(query)
            if said is SLOW:
                await reader.read()
            else:
                writer.write(said)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def register_server() -> AsyncIterator[RegisterServer]:
    server = RegisterServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
