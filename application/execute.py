"""The one write path: who may, load, decide, append; again when something moved."""

from collections.abc import Awaitable, Callable
from functools import partial, reduce
from typing import Any, ClassVar, TypeVar, assert_never
from uuid import UUID

from msgspec import Struct, structs

from application.access import (
    ANYTHING,
    AccessError,
    Authority,
    Caller,
    Need,
    PasswordChangeRequired,
    Resource,
    may,
    require,
    require_passing,
    require_proof,
)
from application.ports import (
    NOTHING_ELSE,
    Accepted,
    Answer,
    Attempt,
    Callers,
    ClaimTaken,
    Clock,
    EventStore,
    Key,
    Loaded,
    Moved,
    NoneLeft,
    Reliance,
    Replayed,
    Secrets,
    StaleAccess,
    VersionConflict,
)
from domain.grant.guards import STANDING, standing
from domain.shared import DomainError, Event, Kind, Metadata, Origin, Rules

S = TypeVar("S")
C = TypeVar("C")
E = TypeVar("E", bound=Event)
ATTEMPTS = 12
"""How often a command that lost a race is decided again before the caller is told to come back."""


class Context(Struct, frozen=True, kw_only=True):
    """One request: who asks, from where, and under which conditions."""

    caller: Caller
    request_id: str
    origin: Origin | None = None
    cause: UUID | None = None
    if_match: int | None = None
    key: Key | None = None
    dry_run: bool = False


class DryRun(Struct, frozen=True):
    """The events a command would append."""

    events: tuple[Event, ...]


class KeyReused(DomainError):
    """The Idempotency-Key was used before for something else."""

    code: ClassVar[str] = "idempotency_key_reused"
    kind: ClassVar[Kind] = Kind.INVALID


class VersionMismatch(Exception):
    """If-Match named another version than `current`."""

    def __init__(self, current: int) -> None:
        super().__init__(f"current version {current}")
        self.current = current


class TooBusy(Exception):
    """The record changes faster than this command could be decided."""


Taken = Callable[[ClaimTaken], DomainError]


class Execute:
    def __init__(self, store: EventStore, callers: Callers, clock: Clock) -> None:
        self._store, self._callers, self.clock = store, callers, clock

    async def __call__(
        self,
        rules: Rules[S, C, E],
        stream_id: UUID,
        command: C,
        context: Context,
        need: Need,
        *,
        new: bool = False,
        upsert: bool = False,
        made: Callable[[tuple[E, ...]], bool] = bool,
        resource: Callable[[S], Resource] = lambda _: ANYTHING,
        relies: Callable[[], Awaitable[Reliance]] | None = None,
        secrets: Secrets | None = None,
        keep_one: tuple[str, ...] = (),
        extra: dict[str, Any] | None = None,
        once: dict[str, Any] | None = None,
        taken: Taken | None = None,
        none_left: Callable[[], DomainError] | None = None,
    ) -> Answer | DryRun:
        """`new`: the stream has just been named. `upsert`: it may exist or not; `made` tells from the events whether
        something was made (201). `once` joins the answer but is never kept: a replay shows null.

        Raises DomainError, AccessError, VersionMismatch, TooBusy, and what the store raises.
        """
        if context.key is not None and (answer := await self._kept(context, context.key)) is not None:
            return answer
        fresh, sure = False, context.caller.session_id is None
        for _ in range(ATTEMPTS):
            loaded = Loaded(state=rules.initial, version=0, position=0, fresh=True)
            if not new:
                loaded = await self._store.load(rules, stream_id, fresh=fresh)
            try:
                authority = self._judge(
                    rules, loaded, context, need, resource, new=new or (upsert and loaded.version == 0)
                )
                events = rules.decide(loaded.state, command)
                reliance = NOTHING_ELSE if relies is None or not events else await relies()
                reliance = _as_judged(reliance, authority)
            except (DomainError, AccessError, VersionMismatch):
                if loaded.fresh and sure:
                    raise
                context, fresh, sure = await self._renewed(context), True, True
                continue
            if not events and not (loaded.fresh and sure):  # append, which judges again, may not be asked
                context, fresh, sure = await self._renewed(context), True, True
                continue
            if not events and context.dry_run:
                return DryRun(())
            if not events and context.key is None:
                return Answer(
                    id=stream_id,
                    version=loaded.version,
                    position=loaded.position,
                    status=200,
                    extra=extra or {},
                )
            attempt = Attempt(
                stream_id=stream_id,
                expected=loaded.version,
                events=events,
                metadata=_metadata(context, authority),
                session=_session(context.caller),
                grant_id=authority.grant_id,
                key=context.key,
                status=201 if new or (upsert and made(events)) else 200,
                extra=_without_secrets(extra, once),
                relies=structs.replace(reliance, keep_one=keep_one) if keep_one else reliance,
                secrets=secrets,
                state_after=partial(reduce, rules.evolve, events, loaded.state),
            )
            verdict = await self._store.append(attempt, rehearse=context.dry_run)
            match verdict:
                case Accepted() if context.dry_run:
                    return DryRun(events)
                case Accepted():
                    return Answer(
                        id=stream_id,
                        version=verdict.version,
                        position=verdict.position or loaded.position,
                        status=attempt.status,
                        extra={**(extra or {}), **(once or {})},
                    )
                case Replayed():
                    assert context.key is not None
                    answer = await self._kept(context, context.key)
                    assert answer is not None
                    return answer
                case StaleAccess():
                    context, sure = await self._renewed(context), True
                case VersionConflict():
                    fresh = True
                case Moved():
                    context, fresh, sure = await self._renewed(context), True, True
                case ClaimTaken():
                    raise (taken or _unexpected)(verdict)
                case NoneLeft():
                    assert none_left is not None
                    raise none_left()
                case _:
                    assert_never(verdict)
        raise TooBusy

    def _judge(
        self,
        rules: Rules[S, C, E],
        loaded: Loaded[S],
        context: Context,
        need: Need,
        resource: Callable[[S], Resource],
        *,
        new: bool,
    ) -> Authority:
        """In api.md's order: unknown, not yours to know, not allowed, step-up, another version."""
        now, caller = self.clock(), context.caller
        if caller.must_change_password and need.right is not None:
            raise PasswordChangeRequired("Change your temporary password first: POST /me/password.")
        if not new and loaded.version == 0:
            raise rules.unknown("There is no such record.")
        about = resource(loaded.state)
        if not new and need.view is not None and may(caller, need.view, about, now) is None:
            raise rules.unknown("There is no such record.")
        authority = (
            Authority(allowed_by="self") if need.right is None else require(caller, need.right, now, about)
        )
        if about.passing is not None:
            authority = require_passing(caller, authority, about.passing, now)
        if need.step_up and not context.dry_run:
            require_proof(caller, now)
        if context.if_match is not None and context.if_match != loaded.version:
            raise VersionMismatch(loaded.version)
        return authority

    async def _kept(self, context: Context, key: Key) -> Answer | None:
        """The answer to an earlier request, for whoever may still ask. Raises KeyReused, SessionEnded."""
        kept = await self._store.kept(key)
        if kept is None:
            return None
        await self._callers.caller(context.caller)
        if kept.fingerprint != key.fingerprint:
            raise KeyReused("This Idempotency-Key was used for another request.")
        return structs.replace(kept.answer, replayed=True)

    async def _renewed(self, context: Context) -> Context:
        return structs.replace(context, caller=await self._callers.caller(context.caller))


def _without_secrets(extra: dict[str, Any] | None, once: dict[str, Any] | None) -> dict[str, Any]:
    """What stands under an idempotency key: a secret that was shown is null there."""
    if not once:
        return extra or {}
    return {**(extra or {}), **dict.fromkeys(once), "shown_once": True}


def _as_judged(reliance: Reliance, authority: Authority) -> Reliance:
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


def _unexpected(taken: ClaimTaken) -> DomainError:
    raise AssertionError(f"nobody foresaw that {taken.kind} could be taken")
