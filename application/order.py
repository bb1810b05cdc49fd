"""From a command's order to an attempt at the log, and from its verdict to an answer: no waiting, no asking."""

from collections.abc import Awaitable, Callable
from functools import partial, reduce
from typing import Any, Generic, TypeVar
from uuid import UUID

from msgspec import Struct, structs

from application.access import Authority, Caller, Need, Resource
from application.context import Context, VersionMismatch
from application.ports import NOTHING_ELSE, Accepted, Answer, Attempt, Loaded, Reliance, Secrets
from domain.grant.guards import STANDING, standing
from domain.shared import Event, Metadata, Rules

S = TypeVar("S")
C = TypeVar("C")
E = TypeVar("E", bound=Event)


class Order(Struct, Generic[S, C, E], frozen=True, kw_only=True):
    """One command with all that its application method knows of it."""

    rules: Rules[S, C, E]
    stream_id: UUID
    command: C
    need: Need
    new: bool
    upsert: bool
    makes: bool
    since: Callable[[S], int] | None
    made: Callable[[tuple[E, ...]], bool]
    resource: Callable[[S], Resource]
    relies: Callable[[], Awaitable[Reliance]] | None
    secrets: Secrets | None
    by: Callable[[Caller], C] | None
    keep_one: tuple[str, ...]
    extra: dict[str, Any]
    once: dict[str, Any]

    def given_by(self, caller: Caller) -> C:
        return self.command if self.by is None else self.by(caller)

    def refuse_other(self, version: int, loaded: Loaded[S]) -> None:
        """Raises VersionMismatch unless what is asked about still is as it was at that version of the stream."""
        present = loaded.version if self.since is None else self.since(loaded.state)
        if not present <= version <= loaded.version:
            raise VersionMismatch(present)


class Decision(Struct, Generic[S, E], frozen=True, kw_only=True):
    """What was decided on a state that may be remembered: events, or a refusal that is not yet given."""

    loaded: Loaded[S]
    authority: Authority = Authority(allowed_by="nothing")
    events: tuple[E, ...] = ()
    reliance: Reliance = NOTHING_ELSE
    refusal: Exception | None = None


def attempt_of(order: Order[S, C, E], context: Context, decision: Decision[S, E]) -> Attempt:
    loaded, authority, events = decision.loaded, decision.authority, decision.events
    return Attempt(
        stream_id=order.stream_id,
        expected=loaded.version,
        events=events,
        metadata=_metadata(context, authority),
        session=_session(context.caller),
        grant_id=authority.grant_id,
        key=context.key,
        status=201 if order.new or order.makes or (order.upsert and order.made(events)) else 200,
        extra=_without_secrets(order.extra, order.once),
        relies=decision.reliance,
        secrets=order.secrets,
        state_after=partial(reduce, order.rules.evolve, events, loaded.state),
    )


def answer_to(
    order: Order[S, C, E], attempt: Attempt, accepted: Accepted, decision: Decision[S, E]
) -> Answer:
    return Answer(
        id=order.stream_id,
        version=accepted.version,
        position=accepted.position or decision.loaded.position,
        status=attempt.status,
        extra={**order.extra, **order.once},
    )


def unchanged(order: Order[S, C, E], loaded: Loaded[S]) -> Answer:
    return Answer(
        id=order.stream_id, version=loaded.version, position=loaded.position, status=200, extra=order.extra
    )


def _without_secrets(extra: dict[str, Any], once: dict[str, Any]) -> dict[str, Any]:
    """What stands under an idempotency key: a secret that was shown is null there."""
    return {**extra, **dict.fromkeys(once), "shown_once": True} if once else extra


def as_judged(reliance: Reliance, authority: Authority) -> Reliance:
    """With the terms of those rights that must stand unchanged."""
    if not authority.terms_of:
        return reliance
    terms = tuple(
        (
            STANDING,
            standing(right.grant_id, right.not_before, right.expires_at, grantable=right.grantable),
            right.grant_id,
        )
        for right in authority.terms_of
    )
    return structs.replace(reliance, require=(*reliance.require, *terms))


def _metadata(context: Context, authority: Authority) -> Metadata:
    return Metadata(
        actor=context.caller.actor,
        request_id=context.request_id,
        session_id=context.caller.session_id,
        client_id=context.caller.actor.id if context.caller.actor.kind == "client" else None,
        cause=context.cause,
        allowed_by=authority.allowed_by,
        origin=context.origin,
    )


def _session(caller: Caller) -> tuple[UUID, int] | None:
    return None if caller.session_id is None else (caller.session_id, caller.access_version)
