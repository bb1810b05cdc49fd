"""A command over HTTP: its conditions read from the headers, its answer made from what the application says."""

from hashlib import sha256
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request
from litestar.params import HeaderParameter, QueryParameter

from api import answers
from api.auth import caller_of, origin_of
from api.conditions import expected_version, idempotency_key
from application.access import Caller
from application.context import Context, DryRun
from application.ports import Answer, Key

C = TypeVar("C")

IfMatch = Annotated[
    str | None,
    HeaderParameter(name="If-Match", description='The version this command insists on, such as "v17".'),
]
IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="1-255 visible ASCII characters; a repeat gets the stored answer.",
    ),
]
DryRunFlag = Annotated[
    bool, QueryParameter(name="dry_run", description="Answer with the events it would append; store nothing.")
]
Asked = Request[Any, Any, Any]


def context(
    request: Asked,
    data: Any,
    if_match: str | None,
    key: str | None,
    *,
    dry_run: bool = False,
    key_required: bool = False,
) -> Context:
    """Raises KeyMissing, KeyMalformed, ConditionMalformed."""
    caller = caller_of(request)
    bare = idempotency_key(key, required=key_required and not dry_run)
    scope: Any = request.scope
    return Context(
        caller=caller,
        request_id=scope["request_id"],
        origin=origin_of(request),
        if_match=expected_version(if_match),
        key=None if bare is None or dry_run else _key(request, data, bare),
        dry_run=dry_run,
    )


def _key(request: Asked, data: Any, key: str) -> Key:
    scope: Any = request.scope
    return key_of(caller_of(request), request.method, scope["path"], scope["query_string"], data, key)


def key_of(caller: Caller, method: str, path: str, query: bytes, data: Any, key: str) -> Key:
    """Scope: principal, method, path. Fingerprint: path, query and the body in canonical form.

    The key, which is not stored, salts the fingerprint: a body may be nothing but a password.
    """
    place = f"{caller.actor.id}\n{method}\n{path}"
    body = msgspec.json.encode(msgspec.to_builtins(data), order="deterministic")
    asked = b"\n".join((key.encode(), path.encode(), query, body))
    return Key(digest=sha256(f"{place}\n{key}".encode()).digest(), fingerprint=sha256(asked).digest())


def as_command(data: Any, command: type[C]) -> C:
    """The body as the domain's command: the same names, plain domain values."""
    return msgspec.convert(msgspec.to_builtins(data), command)


def answered(said: Answer | DryRun, *, at: str | None = None) -> answers.Answer[Any]:
    """The receipt. `at` is the collection's path: a 201 is told where its record is."""
    if isinstance(said, DryRun):
        return answers.json_answer(
            {"events": [{"topic": event.TOPIC, "data": event} for event in said.events]}
        )
    return answers.receipt(
        said.id,
        said.version,
        said.position,
        said.extra,
        status=said.status,
        replayed=said.replayed,
        location=f"{at}/{said.extra.get('id', said.id)}" if at is not None and said.status == 201 else None,
    )
