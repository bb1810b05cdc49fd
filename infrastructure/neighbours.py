"""Whether NATS, Redis, S3 and the mail server answer: no command needs them, but somebody looks after all of it."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Never
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from infrastructure.mail.server import server_of
from infrastructure.settings import Settings

ASK_SECONDS, ANSWER_SECONDS = 2.0, 1.0
MAIL = "mail"
MAIL_ASK_SECONDS, MAIL_ANSWER_SECONDS = 60.0, 10.0
"""A mail server is somebody else's more often than not, and may greet slowly on purpose."""


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
    trust: str = ""
    leaves: bytes = b""
    every: float = ASK_SECONDS
    patience: float = ANSWER_SECONDS

    async def alive(self) -> bool:
        try:
            async with asyncio.timeout(self.patience):
                reader, writer = await self._connected()
                try:
                    writer.write(self.says)
                    said = await reader.read(len(self.answers) or 1)
                    writer.write(self.leaves)
                    return bool(said) and said.startswith(self.answers)
                finally:
                    writer.close()
        except (OSError, UnicodeError):  # a host whose name is none
            return False

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.path:
            return await asyncio.open_unix_connection(self.path)
        secure = ssl.create_default_context() if self.secure else None
        if secure is not None and self.trust:
            secure.load_verify_locations(self.trust)
        return await asyncio.open_connection(self.host, self.port, ssl=secure)


class Neighbours:
    """What was found at the last look, for those the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._all = neighbours(settings)
        # bounded: by the neighbours there are
        self._found: dict[str, bool] = {}

    @property
    def alive(self) -> Mapping[str, bool | None]:
        """None: mail, which nobody has set up."""
        known: dict[str, bool | None] = {name: self._found[name] for name in self._all if name in self._found}
        return known if MAIL in self._all else {**known, MAIL: None}

    async def run(self) -> None:
        """Looks for ever."""
        await asyncio.gather(asyncio.Event().wait(), *(self._watch(*each) for each in self._all.items()))

    async def _watch(self, name: str, neighbour: Neighbour) -> Never:
        while True:
            self._found[name] = await neighbour.alive()
            await asyncio.sleep(neighbour.every)


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
    if settings.smtp_url:
        server = server_of(settings.smtp_url)
        found[MAIL] = Neighbour(
            host=server.host,
            port=server.port,
            secure=server.security == "tls",
            trust=server.ca,
            says=b"",
            answers=b"220",
            leaves=b"QUIT\r\n",
            every=MAIL_ASK_SECONDS,
            patience=MAIL_ANSWER_SECONDS,
        )
    return found
