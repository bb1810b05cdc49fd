"""A real mail server in the test's own loop, which keeps what it takes and can be told to misbehave."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "chancery", "p@ss word:1"
NEVER = "never"
"""An answer that does not come."""
CUT = "cut"
"""The connection goes instead of an answer."""


class Mailbox:
    """`says`: what is answered to MAIL, RCPT or DATA instead of yes; `keeps`: whether a mail is there for all that.
    `asked` counts the connections that came as far as MAIL.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.says: dict[str, str] = {}
        self.keeps = True
        self.asked = 0
        self.port = 0
        self.signed_in: list[str] = []

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def sign_in(self, _server, _session, _envelope, _mechanism, data) -> AuthResult:
        known = (data.login.decode(), data.password.decode()) == (USER, PASSWORD)
        self.signed_in += [data.login.decode()] if known else []
        return AuthResult(success=known, handled=False)

    async def handle_MAIL(  # noqa: N802 - as aiosmtpd calls it
        self, server, session, envelope, address, options
    ) -> str:
        self.asked += 1
        return await self._answer("MAIL", server, lambda: setattr(envelope, "mail_from", address))

    async def handle_RCPT(  # noqa: N802 - as aiosmtpd calls it
        self, server, session, envelope, address, options
    ) -> str:
        return await self._answer("RCPT", server, lambda: envelope.rcpt_tos.append(address))

    async def handle_DATA(  # noqa: N802 - as aiosmtpd calls it
        self, server, session, envelope
    ) -> str:
        def keep() -> None:
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
            self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))

        if "DATA" in self.says and self.keeps:
            keep()
        return await self._answer("DATA", server, keep)

    async def _answer(self, word: str, server: SMTP, yes) -> str:
        said = self.says.get(word)
        if said is None:
            yes()
            return "250 OK"
        if said == NEVER:
            await asyncio.Event().wait()
        if said == CUT:
            server.transport.abort()
        return said


@asynccontextmanager
async def opened(
    *,
    over_tls: ssl.SSLContext | None = None,
    start_tls: ssl.SSLContext | None = None,
    signing_in: bool = False,
) -> AsyncIterator[Mailbox]:
    """On a free port. `over_tls`: from the first byte; `signing_in`: for USER with PASSWORD alone."""
    box, connections = Mailbox(), set()

    def connected() -> SMTP:
        with (
            warnings.catch_warnings()
        ):  # that it takes a password in the clear, or over TLS that it did not start
            warnings.simplefilter("ignore", UserWarning)
            protocol = SMTP(
                box,
                enable_SMTPUTF8=True,
                hostname="localhost",
                tls_context=start_tls,
                authenticator=box.sign_in,
                auth_required=signing_in,
                auth_require_tls=start_tls is not None,
            )
        connections.add(protocol)
        return protocol

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0, ssl=over_tls)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        for each in connections:
            if each.transport is not None:
                each.transport.abort()
            if each._handler_coroutine is not None:
                each._handler_coroutine.cancel()
        await server.wait_closed()


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Of 127.0.0.1, signed by itself: what a server shows, and the file whoever believes it has."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    believed, private = folder / "mail.pem", folder / "mail.key"
    believed.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(believed, private)
    return context, believed
