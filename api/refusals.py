"""Which refusals are kept, and what of them: failed sign-ins, wrong keys, and what somebody was not allowed."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from litestar import Request

from api import client_key
from api.answers import Answer
from api.auth import origin_of
from api.errors import on_error, refusal
from api.service_secret import InvalidInternalSecret
from application.access import Caller, PasswordChangeRequired
from application.proof import InvalidCredentials, Throttled
from application.refusal import Refused
from application.session import RefreshReused
from domain.refusal.commands import NoteRefusal

KEPT = frozenset(
    each.code for each in (InvalidCredentials, RefreshReused, InvalidInternalSecret, *client_key.REFUSALS)
)
"""Besides every 403. A token that has run out, or a password to be proved again, is no refusal: it is routine."""
ROUTINE = frozenset({PasswordChangeRequired.code})
FORBIDDEN = 403

OnError = Callable[[Request[Any, Any, Any], Exception], Answer[Any]]


class Refusals(Protocol):
    def note(self, code: str, refused: Callable[[datetime], Refused]) -> None: ...


def keeping(refusals: Refusals) -> OnError:
    """`on_error`, which also keeps what is to be kept; the answer waits for nothing."""

    def handle(request: Request[Any, Any, Any], error: Exception) -> Answer[Any]:
        answer = on_error(request, error)
        if answer.status in (401, 403, 429):
            told: BaseException = error
            while isinstance(told, BaseExceptionGroup) and len(told.exceptions) == 1:
                told = told.exceptions[0]
            code = refusal(told).code
            if (
                code in KEPT
                or isinstance(told, Throttled)
                or (answer.status == FORBIDDEN and code not in ROUTINE)
            ):
                refusals.note(code, lambda at: _refused(request, told, code, at))
        return answer

    return handle


def _refused(request: Request[Any, Any, Any], error: BaseException, code: str, at: datetime) -> Refused:
    scope: Any = request.scope
    caller: Caller | None = scope.get("caller")
    named: UUID | None = scope.get("named_client")
    return Refused(
        what=NoteRefusal(
            at=at,
            code=code,
            method=request.method,
            route=str(scope.get("path_template", "")),
            required=refusal(error).extra.get("required"),
            login=getattr(error, "login", None),
            user_id=getattr(error, "user_id", None),
            client_id=named,
            session_id=None if caller is None else caller.session_id,
        ),
        request_id=scope["request_id"],
        actor=None if caller is None else caller.actor,
        origin=origin_of(request),
    )
