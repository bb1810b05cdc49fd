"""The server that takes our mail, as CHANCERY_SMTP_URL names it."""

import os
import ssl
from ipaddress import ip_address
from typing import Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from msgspec import Struct

Security = Literal["tls", "required", "offered", "never"]
_STARTTLS: dict[str, Security] = {"required": "required", "offered": "offered", "never": "never"}


class MailServer(Struct, frozen=True, kw_only=True):
    """`security`: TLS from the first byte, or STARTTLS (RFC 3207): required, taken where it is offered, never.

    Certificates are verified always; `ca` is a file of certificates to believe besides those of the system.
    """

    host: str
    port: int
    security: Security
    user: str = ""
    password: str = ""
    ca: str = ""

    def __repr__(self) -> str:
        """Without what opens it."""
        return f"MailServer({self.host}:{self.port}, {self.security})"

    @property
    def start_tls(self) -> bool | None:
        """As aiosmtplib asks for it."""
        return {"tls": False, "required": True, "offered": None, "never": False}[self.security]

    def trust(self) -> ssl.SSLContext:
        """Raises OSError when the file of certificates cannot be read."""
        context = ssl.create_default_context()
        if self.ca:
            context.load_verify_locations(self.ca)
        return context


def server_of(url: str) -> MailServer:
    """Raises ValueError, which says nothing of user and password."""
    parts, port = _parsed(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("must begin with smtp:// or smtps:// and name a host")
    if parts.path not in ("", "/") or parts.fragment:
        raise ValueError("has nothing behind host and port but ?starttls= and ?ca=")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ValueError("needs user and password, or neither")
    options = _options(parts)
    security, ca = _security(parts, options, signs_in=bool(user)), options.get("ca", "")
    if ca and not os.access(ca, os.R_OK):
        raise ValueError("names a file of certificates that cannot be read")
    return MailServer(
        host=parts.hostname,
        port=port or (465 if security == "tls" else 587 if user else 25),
        security=security,
        user=user,
        password=password,
        ca=ca,
    )


def _parsed(url: str) -> tuple[SplitResult, int | None]:
    """Python quotes what it cannot read, and a password may stand there."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is no URL, or has a port that is none") from None
    return parts, port


def _options(parts: SplitResult) -> dict[str, str]:
    found = parse_qs(parts.query, keep_blank_values=True)
    if strange := sorted(found.keys() - {"starttls", "ca"}):
        raise ValueError(f"has an option that is none: {', '.join(strange)}; there are starttls and ca")
    return {name: values[-1] for name, values in found.items()}


def _security(parts: SplitResult, options: dict[str, str], *, signs_in: bool) -> Security:
    """A password travels in the clear to this machine alone."""
    asked = options.get("starttls")
    if parts.scheme == "smtps":
        if asked is not None:
            raise ValueError("is smtps, which has no STARTTLS")
        return "tls"
    near = _loopback(parts.hostname or "")
    if asked is None:
        return "required" if signs_in and not near else "offered"
    if asked not in _STARTTLS:
        raise ValueError("has a starttls that is neither required, offered nor never")
    if signs_in and not near and asked != "required":
        raise ValueError("would send a password in the clear: say starttls=required, or smtps")
    return _STARTTLS[asked]


def _loopback(host: str) -> bool:
    return ip_address(host).is_loopback if is_address(host) else host == "localhost"


def is_address(host: str) -> bool:
    """Of the net, and no name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
