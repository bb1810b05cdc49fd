"""Consul KV as a source of settings, under the key names of an earlier system and, below CHANCERY/, under our own.

It is asked when CONSUL_ROOT names the folder. CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, CONSUL_HTTP_TOKEN_FILE,
CONSUL_HTTP_SSL, CONSUL_CACERT and CONSUL_NAMESPACE mean what they mean to Consul's own command.
"""

import difflib
import re
import ssl
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from infrastructure.settings_sources import Mistake

ROOT = "CONSUL_ROOT"
_SECONDS = 5.0
_OWN = "CHANCERY/"
_SINGLE = {
    "BASE/TITLE": "title",
    "BASE/DESCRIPTION": "description",
    "BASE/CONTACT/NAME": "contact_name",
    "BASE/CONTACT/EMAIL": "contact_email",
    "BASE/CONTACT/URL": "contact_url",
    "S3/ACCESS_KEY": "s3_access_key",
    "S3/SECRET_ACCESS_KEY": "s3_secret_key",
    "S3/BUCKET": "s3_bucket",
    "S3/REGION": "s3_region",
}
_PARTS = (
    *(f"DB/POSTGRESQL/{part}" for part in ("HOST", "PORT", "USERNAME", "PASSWORD", "DATABASE")),
    *(f"DB/REDIS/{part}" for part in ("HOST", "PORT", "USERNAME", "PASSWORD")),
    *(f"S3/{part}" for part in ("HOST", "PORT", "DIRECT_URL")),
)
WITHOUT_USE = ("BASE/JWT/ACCESS_SECRET_KEY", "BASE/JWT/REFRESH_SECRET_KEY")
"""Here tokens are signed by keys that are made, rotated and kept wrapped; no setting says one."""
_FOLDERS = ("BASE/", "DB/", "S3/", _OWN)
_HEADER_VALUE = re.compile(r"[\x21-\x7e]+").fullmatch


class _Pair(msgspec.Struct, rename="pascal"):
    """As Consul's GET /v1/kv/…?recurse answers it: the value in base64, null for an empty one."""

    key: str
    value: str | None = None


class Away(Exception):
    """Consul did not answer, or not with keys. The message says why, and holds neither token nor value."""


def from_consul(
    environ: Mapping[str, str], names: Sequence[str], mistakes: list[Mistake]
) -> Iterator[tuple[str, str, object]]:
    """What the folder says. One that cannot be read is a mistake: nothing starts on half of its settings."""
    root = environ.get(ROOT, "").strip("/")
    if not root:
        return
    try:
        pairs = _read(environ, root)
    except Away as why:
        mistakes.append(Mistake("consul", ROOT, str(why)))
        return
    where = f"consul {root}"
    known = [*_SINGLE, *_PARTS, *WITHOUT_USE, *(_OWN + name.upper() for name in names)]
    for key in sorted(key for key in pairs if key.startswith(_FOLDERS) and key not in known):
        near = difflib.get_close_matches(key, known, n=1)
        problem = "is no key of ours" + (f"; did you mean {near[0]}?" if near else "")
        mistakes.append(Mistake(key, where, problem))
    # Our own keys first: they can say all that the others can, and more.
    yield from ((name, f"{where}/{_OWN}{name.upper()}", pairs.get(_OWN + name.upper())) for name in names)
    yield from ((name, f"{where}/{key}", pairs.get(key)) for key, name in _SINGLE.items())
    yield from _servers(pairs, where, mistakes)


def _servers(
    pairs: Mapping[str, str], where: str, mistakes: list[Mistake]
) -> Iterator[tuple[str, str, object]]:
    postgresql, redis = (_under(pairs, f"DB/{name}/") for name in ("POSTGRESQL", "REDIS"))
    if postgresql:
        missing = [part for part in ("HOST", "USERNAME", "DATABASE") if part not in postgresql]
        mistakes.extend(
            Mistake("database_url", where, f"DB/POSTGRESQL/{part} is not there") for part in missing
        )
        if not missing:
            at = _netloc(postgresql, "5432")
            yield (
                "database_url",
                f"{where}/DB/POSTGRESQL",
                f"postgresql://{at}/{quote(postgresql['DATABASE'])}",
            )
    if redis:
        if "HOST" in redis:
            yield "redis_url", f"{where}/DB/REDIS", f"redis://{_netloc(redis, '6379')}/0"
        else:
            mistakes.append(Mistake("redis_url", where, "DB/REDIS/HOST is not there"))
    if host := pairs.get("S3/HOST"):
        port = pairs.get("S3/PORT")
        yield "s3_endpoint", f"{where}/S3/HOST", f"{host}:{port}" if port else host
    if direct := pairs.get("S3/DIRECT_URL"):
        netloc = urlsplit(direct if "://" in direct else f"//{direct}").netloc
        yield "s3_public_endpoint", f"{where}/S3/DIRECT_URL", netloc


def _under(pairs: Mapping[str, str], folder: str) -> dict[str, str]:
    return {key.removeprefix(folder): value for key, value in pairs.items() if key.startswith(folder)}


def _netloc(parts: Mapping[str, str], port: str) -> str:
    user, password = (quote(parts.get(each, ""), safe="") for each in ("USERNAME", "PASSWORD"))
    who = f"{user}:{password}@" if password else f"{user}@" if user else ""
    return f"{who}{parts['HOST']}:{parts.get('PORT') or port}"


def _read(environ: Mapping[str, str], root: str) -> dict[str, str]:
    """Every key below the root that has a value, without the root's name. Raises Away."""
    import httpx  # noqa: PLC0415 - a tenth of a second that only those pay who ask

    address, headers = _address(environ), _headers(environ)
    query = {"recurse": "true"} | ({"ns": ns} if (ns := environ.get("CONSUL_NAMESPACE")) else {})
    try:
        answer = httpx.get(
            f"{address}/v1/kv/{quote(root)}/",
            params=query,
            headers=headers,
            timeout=_SECONDS,
            verify=_trust(environ.get("CONSUL_CACERT")),
            trust_env=False,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Away(f"{address} does not answer: {type(error).__name__}") from None
    match answer.status_code:
        case 200:
            pass
        case 404:
            raise Away(f"{address} holds nothing below {root}/")
        case 401 | 403:
            raise Away(f"{address} refuses: the token may not read {root}/")
        case other:
            raise Away(f"{address} answers {other}")
    try:
        found = msgspec.json.decode(answer.content, type=list[_Pair])
        read = {pair.key: b64decode(pair.value, validate=True).decode() for pair in found if pair.value}
    except (msgspec.DecodeError, ValueError):  # UnicodeDecodeError and binascii.Error among them
        raise Away(f"{address} answers what is no list of keys and values in base64") from None
    return {key.removeprefix(f"{root}/"): value.strip() for key, value in read.items() if value.strip()}


def _address(environ: Mapping[str, str]) -> str:
    given = environ.get("CONSUL_HTTP_ADDR") or "127.0.0.1:8500"
    if "://" in given:
        return given.rstrip("/")
    secure = environ.get("CONSUL_HTTP_SSL", "").lower() in ("1", "true")
    return f"http{'s' if secure else ''}://{given}"


def _headers(environ: Mapping[str, str]) -> dict[str, str]:
    """Raises Away."""
    token = environ.get("CONSUL_HTTP_TOKEN", "")
    if file := environ.get("CONSUL_HTTP_TOKEN_FILE"):
        if token:
            raise Away("CONSUL_HTTP_TOKEN and CONSUL_HTTP_TOKEN_FILE are both set: say it in one place")
        try:
            token = Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Away(f"CONSUL_HTTP_TOKEN_FILE cannot be read: {error}") from None
    if token and not _HEADER_VALUE(token):
        raise Away("the token has characters that no token has")
    return {"X-Consul-Token": token} if token else {}


def _trust(file: str | None) -> Any:
    """Raises Away."""
    if not file:
        return True
    try:
        return ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError) as error:
        raise Away(f"CONSUL_CACERT cannot be read: {error}") from None
