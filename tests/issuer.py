"""A small real identity provider: discovery, keys and tokens of an OpenID Connect issuer, and Authentik's admin API."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

PATH = "/application/o/portal/"
ADMIN_TOKEN = "admin-token"
_KEYS = [generate_private_key(65537, 2048) for _ in range(2)]

Answer = tuple[int, dict[str, str], bytes]
Behaviour = Callable[[str, str], Awaitable[Answer | None]]
"""What happens instead of an answer to (method, path): another answer, or None: the connection is cut."""


@dataclass
class Provider:
    """`asked`: every request as `METHOD /path`. `behaves` takes over all answers while it is set. `users`: by pk."""

    port: int = 0
    key: Any = field(default_factory=lambda: _KEYS[0])
    kid: str = "first"
    asked: list[str] = field(default_factory=list)
    behaves: Behaviour | None = None
    discovery: dict[str, Any] | None = None
    keys: list[dict[str, Any]] = field(default_factory=list)
    users: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The issuer."""
        return f"http://127.0.0.1:{self.port}{PATH}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def rotate(self) -> None:
        """Another key signs; both are published."""
        self.key, self.kid = _KEYS[1], "second"
        self.keys.append(jwk(self.key, self.kid))

    def token(
        self,
        sub: str | None = None,
        *,
        header: dict[str, Any] | None = None,
        without: tuple[str, ...] = (),
        key: Any = None,
        **claims: Any,
    ) -> str:
        """An access token as Authentik makes them; a member that is None stays away."""
        now = int(time.time())
        said = {
            "iss": self.url,
            "sub": sub or uuid4().hex,
            "aud": "portal",
            "exp": now + 300,
            "iat": now,
            "auth_time": now - 5,
            "acr": "goauthentik.io/providers/oauth2/default",
            "sid": uuid4().hex,
            **claims,
        }
        said = {name: value for name, value in said.items() if name not in without}
        head = {"typ": "JWT", "alg": "RS256", "kid": self.kid, **(header or {})}
        return signed({n: v for n, v in head.items() if v is not None}, said, key or self.key)

    def fetches(self, ending: str = "/jwks/") -> int:
        return sum(each.split("?")[0].endswith(ending) for each in self.asked)

    async def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer | None:
        self.asked.append(f"{method} {target}")
        if self.behaves is not None:
            return await self.behaves(method, target)
        parts = urlsplit(target)
        if parts.path == f"{PATH}.well-known/openid-configuration":
            said = self.discovery or {"issuer": self.url, "jwks_uri": f"{self.url}jwks/"}
            return of(said) if self.discovery != {} else of({}, 404)
        if parts.path == f"{PATH}jwks/":
            return of({"keys": self.keys})
        if parts.path.startswith("/api/v3/core/users/"):
            if headers.get("authorization") != f"Bearer {ADMIN_TOKEN}":
                return of({"detail": "Token invalid/expired"}, 403)
            return self._admin(method, parts.path, dict(parse_qsl(parts.query)), json.loads(body or b"{}"))
        return of({"detail": "Not found."}, 404)

    def _admin(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Answer:
        at = path.removeprefix("/api/v3/core/users/").strip("/")
        if method == "GET" and not at:
            found = [u for u in self.users.values() if all(str(u.get(n)) == v for n, v in query.items())]
            return of({"pagination": {"count": len(found)}, "results": found})
        if method == "POST" and not at:
            if any(user["username"] == body["username"] for user in self.users.values()):
                return of({"username": ["This field must be unique."]}, 400)
            pk = len(self.users) + 1
            self.users[pk] = {"is_active": True, "email": "", **body, "pk": pk, "uuid": str(uuid4())}
            return of(self.users[pk], 201)
        if method == "PATCH" and at.isdigit() and int(at) in self.users:
            self.users[int(at)] |= body
            return of(self.users[int(at)])
        return of({"detail": "Not found."}, 404)


def of(body: Any, status: int = 200) -> Answer:
    return status, {"content-type": "application/json"}, json.dumps(body).encode()


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    made = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {name: made[name] for name in ("kty", "n", "e")} | {
        "kid": kid,
        "alg": "RS256",
        "use": "sig",
        **more,
    }


def signed(header: dict[str, Any], claims: dict[str, Any] | str, key: Any) -> str:
    """By hand: PyJWT would not write some of what is wrong on purpose."""
    said = claims if isinstance(claims, str) else json.dumps(claims)
    message = f"{b64(json.dumps(header))}.{b64(said)}"
    algorithm = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256)
    return f"{message}.{b64(algorithm.sign(message.encode(), key))}"


def b64(raw: str | bytes) -> str:
    data = raw.encode() if isinstance(raw, str) else raw
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    """On a free port of this machine, until it is left."""
    made = Provider()
    made.keys = [jwk(made.key, made.kid)]
    conversations: set[asyncio.Task[Any]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        task.add_done_callback(conversations.discard)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await _one(made, reader, writer):
                    pass
        finally:
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in list(conversations):
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)


async def _one(made: Provider, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """One request and its answer; False when the conversation is over."""
    if not (line := (await reader.readline()).decode().split()):
        return False
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {n.lower(): v.strip() for n, _, v in (each.partition(":") for each in head) if n}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    answer = await made.answer(line[0], line[1], headers, body)
    if answer is None:
        return False
    status, more, content = answer
    fields = "".join(f"{n}: {v}\r\n" for n, v in {"content-length": str(len(content)), **more}.items())
    writer.write(f"HTTP/1.1 {status} X\r\n{fields}\r\n".encode() + content)
    await writer.drain()
    return True
