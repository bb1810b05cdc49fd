"""The one write path: who may, load, decide, append; again when something moved."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, assert_never
from uuid import UUID

from msgspec import structs

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
from application.context import Context, DryRun, KeyReused, TooBusy, VersionMismatch
from application.order import Decision, Order, answer_to, as_judged, attempt_of, unchanged
from application.ports import (
    NOTHING_ELSE,
    Accepted,
    Answer,
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
from application.spans import part
from domain.shared import DomainError, Event, Rules

S = TypeVar("S")
C = TypeVar("C")
E = TypeVar("E", bound=Event)
ATTEMPTS = 12
"""How often a command that lost a race is decided again before the caller is told to come back."""


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
        makes: bool = False,
        since: Callable[[S], int] | None = None,
        made: Callable[[tuple[E, ...]], bool] = bool,
        resource: Callable[[S], Resource] = lambda _: ANYTHING,
        relies: Callable[[], Awaitable[Reliance]] | None = None,
        secrets: Secrets | None = None,
        by: Callable[[Caller], C] | None = None,
        keep_one: tuple[str, ...] = (),
        extra: dict[str, Any] | None = None,
        once: dict[str, Any] | None = None,
        taken: Taken | None = None,
        none_left: Callable[[], DomainError] | None = None,
    ) -> Answer | DryRun:
        """`new`: the stream has just been named. `upsert`: it may exist or not; `made` tells from the events whether
        something was made (201). `makes`: something within the record is made (201); its id stands in `extra`.
        `since`: the version at which the part of the record that is asked about last changed: to If-Match every version
        from then on is its present one. `by`: the command with what it says of the caller, as he was judged. `once`
        joins the answer but is never kept: a replay shows null.

        Raises DomainError, AccessError, VersionMismatch, TooBusy, and what the store raises.
        """
        order = Order(
            rules=rules,
            stream_id=stream_id,
            command=command,
            need=need,
            new=new,
            upsert=upsert,
            makes=makes,
            since=since,
            made=made,
            resource=resource,
            relies=relies,
            secrets=secrets,
            by=by,
            keep_one=keep_one,
            extra=extra or {},
            once=once or {},
        )
        said = await self._said(order, context)
        match said:
            case ClaimTaken():
                raise (taken or _unexpected)(said)
            case NoneLeft():
                assert none_left is not None
                raise none_left()
            case _:
                return said

    async def admit(self, context: Context, right: str | None) -> Answer | None:
        """Before costly preparations of something new: the kept answer of a repeat, or None when the caller may go on.

        Raises Forbidden, SessionEnded, KeyReused.
        """
        if context.key is not None and (answer := await self._kept(context, context.key)) is not None:
            return answer
        if right is not None and may(context.caller, right, ANYTHING, self.clock()) is None:
            require((await self._renewed(context)).caller, right, self.clock())
        return None

    async def _said(self, order: Order[S, C, E], context: Context) -> Answer | DryRun | ClaimTaken | NoneLeft:
        """Decides until append accepts or somebody who knows for sure says no."""
        if context.key is not None and (answer := await self._kept(context, context.key)) is not None:
            return answer
        fresh, sure = False, context.caller.session_id is None
        for _ in range(ATTEMPTS):
            decision = await self._decide(order, context, fresh=fresh)
            if not decision.events:  # append, which judges again, is not asked: memory alone must not say so
                if not (decision.loaded.fresh and sure):
                    context, fresh, sure = await self._renewed(context), True, True
                    continue
                if decision.refusal is not None:
                    raise decision.refusal
                if context.dry_run:
                    return DryRun(())
                if context.key is None:
                    return unchanged(order, decision.loaded)
            attempt = attempt_of(order, context, decision)
            verdict = await self._store.append(attempt, rehearse=context.dry_run)
            match verdict:
                case Accepted():
                    return (
                        DryRun(decision.events)
                        if context.dry_run
                        else answer_to(order, attempt, verdict, decision)
                    )
                case Replayed():
                    assert context.key is not None
                    kept = await self._kept(context, context.key)
                    assert kept is not None
                    return kept
                case StaleAccess():
                    context, sure = await self._renewed(context), True
                case VersionConflict():
                    fresh = True
                case Moved():
                    context, fresh, sure = await self._renewed(context), True, True
                case ClaimTaken() | NoneLeft():
                    return verdict
                case _:
                    assert_never(verdict)
        raise TooBusy

    async def _decide(self, order: Order[S, C, E], context: Context, *, fresh: bool) -> Decision[S, E]:
        rules = order.rules
        loaded = Loaded(state=rules.initial, version=0, position=0, fresh=True)
        if not order.new:
            with part("load"):
                loaded = await self._store.load(rules, order.stream_id, fresh=fresh)
        try:
            unseen = order.new or (order.upsert and loaded.version == 0)
            with part("authorise"):
                authority = self._judge(order, loaded, context, new=unseen)
            with part("decide"):
                events = rules.decide(loaded.state, order.given_by(context.caller))
                reliance = NOTHING_ELSE if order.relies is None or not events else await order.relies()
        except (DomainError, AccessError, VersionMismatch) as refusal:
            return Decision(loaded=loaded, refusal=refusal)
        reliance = structs.replace(as_judged(reliance, authority), keep_one=order.keep_one)
        return Decision(loaded=loaded, authority=authority, events=events, reliance=reliance)

    def _judge(self, order: Order[S, C, E], loaded: Loaded[S], context: Context, *, new: bool) -> Authority:
        """In api.md's order: unknown, not yours to know, not allowed, step-up, another version."""
        now, caller, need, rules = self.clock(), context.caller, order.need, order.rules
        if caller.must_change_password and need.right is not None:
            raise PasswordChangeRequired("Change your temporary password first: POST /me/password.")
        if not new and loaded.version == 0:
            raise rules.unknown("There is no such record.")
        about = order.resource(loaded.state)
        if not new and need.view is not None and may(caller, need.view, about, now) is None:
            raise rules.unknown("There is no such record.")
        authority = (
            Authority(allowed_by=need.by) if need.right is None else require(caller, need.right, now, about)
        )
        if about.passing is not None:
            authority = require_passing(caller, authority, about.passing, now)
        if need.step_up and not context.dry_run:
            require_proof(caller, now)
        if context.if_match is not None:
            order.refuse_other(context.if_match, loaded)
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


def _unexpected(taken: ClaimTaken) -> DomainError:
    raise AssertionError(f"nobody foresaw that {taken.kind} could be taken")
