"""Settings of how it is deployed: passwords apart from URLs, how it ends, how it shows that it lives, its name."""

import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from msgspec import Meta

from infrastructure.settings_parts import Limits, Secret
from infrastructure.settings_sources import Mistake

PASSWORDS = {
    "database_password": "database_url",
    "database_owner_password": "database_owner_url",
    "nats_password": "nats_url",
    "nats_relay_password": "nats_relay_url",
    "redis_password": "redis_url",
}
"""Which URL each is put into. So a URL may stand where everybody reads it, and its password in a file of its own."""

_BARE = re.compile(r"[A-Za-z0-9._~-]+").fullmatch


class Deployment(Limits, frozen=True, kw_only=True):
    """How it is run beside others. An empty string means: not set."""

    database_password: Annotated[
        Secret, Meta(description="password of database_url's user, when the URL has none")
    ] = ""
    database_owner_password: Annotated[
        Secret, Meta(description="password of database_owner_url's user, when the URL has none")
    ] = ""
    nats_password: Annotated[
        Secret, Meta(description="password of nats_url's user, when the URL has none")
    ] = ""
    nats_relay_password: Annotated[
        Secret, Meta(description="password of nats_relay_url's user, when the URL has none")
    ] = ""
    redis_password: Annotated[Secret, Meta(description="password of redis_url, when it has none")] = ""
    drain_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=300,
            description="seconds a stopping API reads on and tells new commands 503, then closes",
        ),
    ] = 0.25
    health_dir: Annotated[
        str, Meta(description="directory where a process shows that it lives, for `chancery health`")
    ] = ""
    title: Annotated[str, Meta(max_length=255, description="name of this API in its document")] = "Chancery"
    description: Annotated[str, Meta(max_length=10_000, description="what its document says of it")] = (
        "An event-sourced back office: powers, contracts and letters, with a record anyone can verify."
    )
    contact_name: Annotated[str, Meta(max_length=255, description="whom callers of the API may ask")] = ""
    contact_email: Annotated[str, Meta(max_length=254, description="his e-mail address")] = ""
    contact_url: Annotated[str, Meta(max_length=2_000, description="his page")] = ""


def put_passwords(values: MutableMapping[str, Any], sources: Mapping[str, str]) -> Iterator[Mistake]:
    """Puts each password into its URL."""
    for name, into in PASSWORDS.items():
        password, url = values.get(name), values.get(into)
        if not password:
            continue
        if not url:
            yield Mistake(name, sources[name], f"goes with {into}, which is not set")
        elif (stands := _password(url)) is not None and stands != quote(password, safe=""):
            yield Mistake(name, sources[name], f"is not the one in {into}: say it in one place")
        elif into.startswith("nats") and not _BARE(password):
            yield Mistake(name, sources[name], "may have letters, digits and . _ ~ - alone")
        elif not into.startswith("redis") and not urlsplit(url).username:
            yield Mistake(into, sources[into], f"names no user, whose password {name} could be")
        elif stands is None:
            values[into] = ",".join(_with(each, password) for each in _each(into, url))


def _each(name: str, url: str) -> list[str]:
    """A cluster of NATS is a list of URLs; of PostgreSQL it is one."""
    return url.split(",") if name.startswith("nats") else [url]


def _password(url: str) -> str | None:
    return urlsplit(url.partition(",")[0]).password


def _with(url: str, password: str) -> str:
    scheme, _, rest = url.partition("://")
    before, at, host = rest.partition("@") if "@" in rest.partition("/")[0] else ("", "@", rest)
    return f"{scheme}://{before}:{quote(password, safe='')}{at}{host}"
