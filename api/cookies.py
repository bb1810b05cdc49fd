"""Our cookies: which names and attributes they have (RFC 6265bis 4.1.3), and how one is read."""

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from litestar import Request

from api.answers import Header


class Cookies:
    """`__Host-` and Secure, so that no other host and no plain line sees or sets them; a browser keeps such a cookie
    from https only, so on plain loopback HTTP they have neither.
    """

    def __init__(self, base_url: str) -> None:
        self._prefix, self._secure = ("", "") if _plain_loopback(base_url) else ("__Host-", "; Secure")

    def read(self, request: Request[Any, Any, Any], name: str) -> str | None:
        wanted = f"{self._prefix}{name}"
        for header, value in request.scope["headers"]:
            if header == b"cookie":
                for one in value.decode("latin-1").split(";"):
                    given, _, content = one.strip().partition("=")
                    if given == wanted:
                        return content
        return None

    def set(self, name: str, content: str, *, seconds: int) -> Header:
        """`seconds`: how long a browser keeps it; 0 takes it away."""
        attributes = f"Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{self._secure}"
        return b"set-cookie", f"{self._prefix}{name}={content}; {attributes}".encode("latin-1")


def _plain_loopback(base_url: str) -> bool:
    parts = urlsplit(base_url)
    if parts.scheme != "http" or parts.hostname is None:
        return False
    try:
        return ip_address(parts.hostname).is_loopback
    except ValueError:
        return parts.hostname == "localhost"
