"""What the HTTP layer itself can refuse; problems of one part (body, conditions, sign-in) stand beside it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from domain.shared import FieldError


class Problem(Exception):
    """A refusal of the HTTP layer, as DomainError is of the domain. The docstring says what the code means.

    `extra` joins the body (`current`, `required`, `candidates`); `headers` join the answer's.
    """

    code: ClassVar[str]
    status: ClassVar[int]

    def __init__(
        self,
        detail: str | None = None,
        *,
        hint: str | None = None,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        self.detail = detail or meaning(type(self))
        super().__init__(self.detail)
        self.hint = hint
        self.errors = errors
        self.headers = headers or {}
        self.extra = extra


def meaning(refusing: type[Exception]) -> str:
    """The first paragraph of a class's docstring, on one line."""
    return " ".join((refusing.__doc__ or "").strip().split("\n\n")[0].split())


class RequestMalformed(Problem):
    """The request is not one that HTTP or this API understands."""

    code, status = "request.malformed", 400


class ParameterInvalid(Problem):
    """A parameter in the query, the path or a header has a value that cannot be read."""

    code, status = "query.invalid", 400


class NotFound(Problem):
    """There is no such thing here, or you may not know of it."""

    code, status = "not_found", 404


class MethodNotAllowed(Problem):
    """This address does not take that method; the Allow header lists those it takes."""

    code, status = "method_not_allowed", 405


class BodyTooSlow(Problem):
    """The body did not arrive in time."""

    code, status = "body.too_slow", 408


class VersionMismatch(Problem):
    """The record has changed since you read it; `current` is its version now. Read it again, then decide."""

    code, status = "version_mismatch", 412


class BodyTooLarge(Problem):
    """The body is larger than this address takes."""

    code, status = "body.too_large", 413


class EventTooLarge(Problem):
    """What this command would record is larger than one event may be (60,000 bytes)."""

    code, status = "event.too_large", 413


class RateLimited(Problem):
    """Too many requests; Retry-After says when to come back, in seconds."""

    code, status = "rate_limited", 429


class ClientGone(Problem):
    """The caller left before the request was complete; only the log sees this answer."""

    code, status = "client.gone", 499


class Internal(Problem):
    """Something broke on our side. The request id leads to the log line."""

    code, status = "internal", 500


class Unavailable(Problem):
    """A part of Chancery that this request needs is away for the moment. Try again; a key makes that safe."""

    code, status = "unavailable", 503

    def __init__(self, detail: str | None = None, *, retry_after: int = 1, **extra: Any) -> None:
        super().__init__(detail, headers={"retry-after": str(retry_after)}, **extra)


class Contended(Unavailable):
    """The record changes faster than this command could be decided; nothing was changed. Try again."""

    code, status = "contended", 503


class Stopping(Unavailable):
    """This process is about to end and begins nothing new; nothing of this was done. Come again: another takes it."""

    code, status = "server.stopping", 503


class Overloaded(Unavailable):
    """More is going on than is taken in at once; nothing of this was done. Come again: a key makes that safe."""

    code, status = "overloaded", 503
