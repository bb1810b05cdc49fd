"""What stands outside the API proper: is it alive, is it ready, what is it, how is it doing."""

from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any

from litestar import get
from msgspec import Struct
from prometheus_client.core import Metric

from api import answers
from api.answers import Answer
from api.readiness import Part, Readiness
from infrastructure.watch.figures import exposition

VERSION = version("chancery")


class Health(Struct, frozen=True, kw_only=True):
    status: str


class Version(Struct, frozen=True, kw_only=True):
    name: str
    version: str


STOPPING = Part(
    name="process", ok=False, detail="is stopping: it finishes what it has begun, and begins nothing"
)


def routes(
    ready: Callable[[], Readiness],
    stopping: Callable[[], bool],
    jwks: Callable[[], bytes],
    figures: Callable[[], Iterable[Metric]],
) -> list[Any]:
    @get("/healthz", include_in_schema=False)
    async def healthz() -> Answer[Health]:
        """The process answers, and goes on doing so: whoever shares out requests leaves one out that stops."""
        if stopping():
            return answers.json_answer(Health(status="stopping"), status=503)
        return answers.json_answer(Health(status="ok"))

    @get("/readyz", include_in_schema=False)
    async def readyz() -> Answer[Readiness]:
        """Every part this process needs is there and up to date."""
        found = ready()
        if stopping():
            found = Readiness(ready=False, parts=[STOPPING, *found.parts])
        return answers.json_answer(found, status=200 if found.ready else 503)

    @get("/version", include_in_schema=False)
    async def version_of() -> Answer[Version]:
        return answers.json_answer(Version(name="chancery", version=VERSION))

    @get("/metrics", include_in_schema=False)
    async def metrics_of() -> Answer[bytes]:
        body, media_type = exposition(figures())
        return Answer(200, body, [(b"content-type", media_type.encode())])

    @get("/.well-known/jwks.json", include_in_schema=False)
    async def jwks_of() -> Answer[bytes]:
        """The public keys of access tokens (RFC 7517)."""
        return Answer(
            200, jwks(), [(b"content-type", b"application/json"), (b"cache-control", b"public, max-age=300")]
        )

    return [healthz, readyz, version_of, metrics_of, jwks_of]
