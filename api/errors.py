"""How a refusal leaves: one table from meaning to status, one translation per layer, one shape (RFC 9457)."""

from collections.abc import Iterator, Mapping
from functools import singledispatch
from typing import Any, assert_never

import psycopg
import structlog
from litestar import Request
from litestar.exceptions import HTTPException, ValidationException
from msgspec import Struct

from api import problems
from api.answers import PROBLEM_JSON, Answer, encode
from api.faults import fault_of
from api.problems import Problem
from application.access import AccessError, StepUpRequired, Unauthenticated
from application.context import TooBusy, VersionMismatch
from domain.shared import DomainError, FieldError, Kind
from infrastructure.event_store import EventTooLarge

_log = structlog.get_logger("api.errors")


def status_of(kind: Kind) -> int:
    """The one table from what a domain refusal means to what HTTP calls it."""
    match kind:
        case Kind.MISSING:
            return 404
        case Kind.FORBIDDEN:
            return 403
        case Kind.CONFLICT:
            return 409
        case Kind.INVALID:
            return 422
        case Kind.HELD:
            return 423
        case Kind.WRONG_REFERENCE:
            return 400
        case Kind.TOO_LARGE:
            return 413
        case Kind.UNSUPPORTED:
            return 415
    assert_never(kind)


def access_status(refusing: type[AccessError]) -> int:
    """401 where another proof of who asks would help, else 403."""
    return 401 if issubclass(refusing, Unauthenticated | StepUpRequired) else 403


class Refusal(Struct, frozen=True, kw_only=True):
    """Any exception as the outside may see it."""

    code: str
    status: int
    detail: str
    hint: str | None = None
    errors: tuple[FieldError, ...] = ()
    headers: Mapping[str, str] = {}
    extra: Mapping[str, Any] = {}


@singledispatch
def refusal(error: BaseException) -> Refusal:  # noqa: ARG001 - nothing of an unknown error goes out
    """What the outside may know of an error; an unknown one is `internal`. `@refusal.register` adds more."""
    return _as_is(problems.Internal())


@refusal.register
def _as_is(error: Problem) -> Refusal:
    return Refusal(
        code=error.code,
        status=error.status,
        detail=error.detail,
        hint=error.hint,
        errors=error.errors,
        headers=error.headers,
        extra=error.extra,
    )


@refusal.register
def _of_domain(error: DomainError) -> Refusal:
    return Refusal(
        code=error.code,
        status=status_of(error.kind),
        detail=error.detail,
        errors=error.errors,
        extra=error.extra,
    )


@refusal.register
def _of_access(error: AccessError) -> Refusal:
    status = access_status(type(error))
    return Refusal(
        code=error.code,
        status=status,
        detail=error.detail,
        headers={"www-authenticate": _challenge(error)} if status == 401 else {},
        extra=error.extra,
    )


def _challenge(error: AccessError) -> str:
    """RFC 6750 3; for step-up RFC 9470 3."""
    if isinstance(error, StepUpRequired):
        return 'Bearer error="insufficient_user_authentication", max_age=300'
    return 'Bearer error="invalid_token"'


@refusal.register
def _of_version(error: VersionMismatch) -> Refusal:
    return _as_is(problems.VersionMismatch(current=error.current))


@refusal.register
def _of_contention(_: TooBusy) -> Refusal:
    return _as_is(problems.Contended())


@refusal.register
def _of_size(_: EventTooLarge) -> Refusal:
    return _as_is(problems.EventTooLarge())


@refusal.register(psycopg.OperationalError)
@refusal.register(psycopg.InterfaceError)
def _of_database(_: psycopg.Error) -> Refusal:
    """The connection is gone, the pool has none to give, or a statement ran out of time."""
    return _as_is(problems.Unavailable())


@refusal.register(BaseExceptionGroup)
def _of_group(error: BaseExceptionGroup[Any]) -> Refusal:
    """A task group wraps even a single refusal."""
    return refusal(error.exceptions[0] if len(error.exceptions) == 1 else problems.Internal())


@refusal.register
def _of_litestar(error: HTTPException) -> Refusal:
    match error.status_code:
        case 404:
            return _as_is(problems.NotFound("There is nothing at this address."))
        case 405:
            return _as_is(problems.MethodNotAllowed(headers={"allow": _allowed(error)}))
        case 413:
            return _as_is(problems.BodyTooLarge())
        case 500 if "client disconnected" in error.detail:
            return _as_is(problems.ClientGone())
        case 400 if isinstance(error, ValidationException):
            return _as_is(problems.ParameterInvalid(errors=tuple(_parameters(error))))
        case status if status < 500:
            return _as_is(problems.RequestMalformed())
        case _:
            return _as_is(problems.Internal())


def _allowed(error: HTTPException) -> str:
    methods = {one.strip() for one in (error.headers or {}).get("allow", "").split(",") if one.strip()}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def _parameters(error: ValidationException) -> Iterator[FieldError]:
    """Litestar names the wrong parameters in `extra`, but a missing one only in its sentence."""
    found: Any = error.extra or []
    for one in found:
        yield fault_of(f"/{one['key']}" if "key" in one else "", one["message"])
    if not found and error.detail.startswith("Missing required"):
        name = error.detail.split("'")[1]
        yield FieldError(pointer=f"/{name}", code="missing", detail="This parameter is required.")


def title(code: str) -> str:
    """`contract.canceled` -> `Contract canceled`."""
    return code.replace(".", " ").replace("_", " ").capitalize()


def document(refused: Refusal, request_id: str) -> dict[str, Any]:
    """The members of a problem document; `extra` never hides one of ours."""
    body: dict[str, Any] = {
        "type": f"/docs/errors/{refused.code}",
        "title": title(refused.code),
        "status": refused.status,
        "detail": refused.detail,
        "code": refused.code,
        "request_id": request_id,
    }
    if refused.hint:
        body["hint"] = refused.hint
    if refused.errors:
        body["errors"] = refused.errors
    return {**body, **{k: v for k, v in refused.extra.items() if k not in body}}


def explained(error: BaseException, request_id: str) -> Refusal:
    """What goes out of an error, which leaves a trace in the log when it is our fault."""
    refused = refusal(error)
    if refused.code in (problems.Overloaded.code, problems.Stopping.code):
        pass  # told once for the whole storm, by whoever is full or stops
    elif refused.status == 503:
        _log.warning("unavailable", request_id=request_id, code=refused.code, error=type(error).__name__)
    elif refused.status >= 500:
        _log.error("unhandled", request_id=request_id, exc_info=error)
    return refused


def problem_answer(error: BaseException, request_id: str) -> Answer[Any]:
    """The whole answer to an error."""
    refused = explained(error, request_id)
    headers = ((name.lower().encode(), value.encode("latin-1")) for name, value in refused.headers.items())
    return Answer(refused.status, encode(document(refused, request_id)), [PROBLEM_JSON, *headers])


def on_error(request: Request[Any, Any, Any], error: Exception) -> Answer[Any]:
    """The application's one exception handler: `exception_handlers={Exception: on_error}`."""
    return problem_answer(error, str(request.scope.get("request_id", "")))
