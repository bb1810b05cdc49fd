"""Hands mail in, once: what the server may have taken already is never handed in again.

From the end of DATA on the server answers for a mail (RFC 5321 4.2.5, 6.1). When its answer does not come, nobody knows
whether it has the mail (RFC 1047); it is not sent again: a notice that is lost costs less than one that comes twice.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import cached_property
from ssl import SSLContext
from urllib.parse import urlsplit

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPResponseException
from msgspec import Struct

from infrastructure.mail.address import address_of
from infrastructure.mail.server import MailServer, is_address, server_of
from infrastructure.mail.writing import Mail, Written, written
from infrastructure.operations import Hopeless
from infrastructure.registers.outside_calls import Breaker, OutsideFailed
from infrastructure.settings import Settings


class Patience(Struct, frozen=True, kw_only=True):
    """Seconds. `reach`: to connect, and to say who sends to whom; `answer`: until it has taken the mail; `leave`: for
    goodbye.

    RFC 5321 4.5.3.2 would have us wait for ten minutes; a job has better things to do, and its notices are short.
    """

    reach: float = 60
    answer: float = 120
    leave: float = 5


class NotNow(Exception):
    """The server may take it later (4yz)."""


class Refused(Hopeless):
    """The server will never take it (5yz)."""


class InDoubt(Hopeless):
    """It was handed over, and whether the server has it nobody knows."""


class Mailer:
    """Answers of the server are told by their code alone: their text may hold the address."""

    def __init__(
        self,
        server: MailServer,
        sender: str,
        clock: Callable[[], datetime],
        patience: Patience = Patience(),  # noqa: B008 - frozen
    ) -> None:
        self._server, self._sender, self._clock, self._patience = server, sender, clock, patience
        self._breaker = Breaker()

    @cached_property
    def _trust(self) -> SSLContext:
        """Read once: a system believes some hundred certificates."""
        return self._server.trust()

    async def send(self, mail: Mail, hand_over: Callable[[], Awaitable[bool]]) -> None:
        """`hand_over` is asked just before the server could have it; when it says no, nothing is sent.

        Raises NotNow and OutsideFailed: it was certainly not sent. Raises Refused, InDoubt, NoAddress.
        """
        ready = written(mail, self._sender, self._clock())
        try:
            with self._breaker.call("mail"):
                async with self._reached(ready) as client:
                    if not await hand_over():
                        raise RuntimeError("the lease is lost: another attempt has taken over")
                    await self._handed(client, ready)
        except _Unanswered as silence:
            raise InDoubt(f"it was handed over, and then: {silence.reason}") from None

    async def probe(self) -> str:
        """Whom we would hand it to, how protected. Raises OutsideFailed."""
        async with self._connected() as client:
            secure = client.get_transport_info("sslcontext") is not None
            signed_in = ", signed in" if self._server.user else ""
            return f"answers, {'over TLS' if secure else 'in the clear'}{signed_in}"

    @asynccontextmanager
    async def _reached(self, ready: Written) -> AsyncGenerator[SMTP]:
        """The server has heard who sends it to whom, and has not said no."""
        async with self._connected() as client:
            if ready.utf8 and not client.supports_extension("smtputf8"):
                raise Refused("the server takes no address with letters beyond ASCII")
            options = ["SMTPUTF8", "BODY=8BITMIME"] if ready.utf8 else []
            encoding = "utf-8" if ready.utf8 else "ascii"
            try:
                async with asyncio.timeout(self._patience.reach):
                    await client.mail(ready.sender, options=options, encoding=encoding)
                    await client.rcpt(ready.recipient, encoding=encoding)
            except SMTPResponseException as said:
                raise _no(said, "the envelope") or OutsideFailed(
                    "mail", f"the envelope: {_told(said)}"
                ) from None
            except (SMTPException, OSError) as problem:
                raise OutsideFailed("mail", f"the envelope: {_told(problem)}") from None
            yield client

    async def _handed(self, client: SMTP, ready: Written) -> None:
        try:
            await client.data(ready.content, timeout=self._patience.answer)
        except SMTPDataError as said:
            raise _no(said, "the mail") or _Unanswered("mail", _told(said)) from None
        except (SMTPException, OSError) as problem:
            raise _Unanswered("mail", _told(problem)) from None

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[SMTP]:
        server = self._server
        try:
            client = SMTP(
                hostname=server.host,
                port=server.port,
                local_hostname=address_of(self._sender).domain,
                username=server.user or None,
                password=server.password or None,
                timeout=self._patience.reach,
                use_tls=server.security == "tls",
                start_tls=server.start_tls,
                tls_context=None if server.security == "never" else self._trust,
            )
        except OSError as problem:
            raise OutsideFailed("mail", f"the file of certificates: {type(problem).__name__}") from None
        try:
            try:
                async with asyncio.timeout(self._patience.reach):
                    await client.connect()
                    await client.ehlo()
            except (SMTPException, OSError) as problem:
                raise OutsideFailed("mail", f"to connect: {_told(problem)}") from None
            yield client
            with suppress(SMTPException, OSError):
                await client.quit(timeout=self._patience.leave)
        finally:
            client.close()


def mailer_of(settings: Settings, clock: Callable[[], datetime]) -> Mailer | None:
    """None: no server is set, so there is no mail."""
    if not settings.smtp_url:
        return None
    return Mailer(server_of(settings.smtp_url), sender_of(settings), clock)


def sender_of(settings: Settings) -> str:
    """An address without a domain of its own is that of this machine."""
    host = urlsplit(settings.base_url).hostname or ""
    return settings.mail_from or f"chancery@{'localhost' if is_address(host) else host}"


class _Unanswered(OutsideFailed):
    """Nobody knows whether it was taken; to the breaker it is a failure like any other."""


def _no(said: SMTPResponseException, where: str) -> NotNow | Refused | None:
    """None: it was no answer at all."""
    if 400 <= said.code < 500:
        return NotNow(f"{where}: {said.code}")
    return Refused(f"{where}: {said.code}") if 500 <= said.code < 600 else None


def _told(problem: Exception) -> str:
    """Without what the server wrote."""
    code = f" {problem.code}" if isinstance(problem, SMTPResponseException) else ""
    return f"{type(problem).__name__}{code}"
