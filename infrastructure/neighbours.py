"""Whether NATS, Redis and S3 answer now: no command needs them, and whoever looks after Chancery wants to know."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Never
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from infrastructure.settings import Settings

ASK_SECONDS, ANSWER_SECONDS = 2.0, 1.0


class Neighbour(Struct, frozen=True, kw_only=True):
    """Where it listens, what is said to it, and how its answer begins: enough to see that it is alive, unauthenticated.

    A process that is frozen still takes connections, so being connected says nothing.
    """

    host: str
    port: int
    says: bytes
    answers: bytes
    path: str = ""
    secure: bool = False

    async def alive(self) -> bool:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await self._connected()
                try:
                    writer.write(self.says)
                    said = await reader.read(len(self.answers) or 1)
                    return bool(said) and said.startswith(self.answers)
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.path:
            return await asyncio.open_unix_connection(self.path)
        secure = ssl.create_default_context() if self.secure else None
        return await asyncio.open_connection(self.host, self.port, ssl=secure)


class Neighbours:
    """`alive` is what was found at the last look, for those the settings name."""

    def __init__(self, settings: Settings) -> None:
        self.alive: Mapping[str, bool] = {}
        self._all = neighbours(settings)

    async def run(self) -> Never:
        """Looks for ever."""
        while True:
            found = await asyncio.gather(*(each.alive() for each in self._all.values()))
            self.alive = dict(zip(self._all, found, strict=True))
            await asyncio.sleep(ASK_SECONDS)


def neighbours(settings: Settings) -> dict[str, Neighbour]:
    """Those whose address is set."""
    found: dict[str, Neighbour] = {}
    if settings.nats_url:
        at = urlsplit(settings.nats_url.split(",")[0])
        found["nats"] = Neighbour(
            host=at.hostname or "127.0.0.1", port=at.port or 4222, says=b"", answers=b"INFO"
        )
    if settings.redis_url:
        at = urlsplit(settings.redis_url)
        found["redis"] = Neighbour(
            host=at.hostname or "127.0.0.1",
            port=at.port or 6379,
            path=unquote(at.path) if at.scheme == "unix" else "",
            secure=at.scheme == "rediss",
            says=b"PING\r\n",
            answers=b"",
        )
    if settings.s3_endpoint:
        at = urlsplit(f"//{settings.s3_endpoint}")
        found["s3"] = Neighbour(
            host=at.hostname or "127.0.0.1",
            port=at.port or (443 if settings.s3_secure else 80),
            secure=settings.s3_secure,
            says=f"HEAD / HTTP/1.0\r\nHost: {settings.s3_endpoint}\r\n\r\n".encode(),
            answers=b"HTTP/",
        )
    return found
