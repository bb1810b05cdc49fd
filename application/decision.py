"""Could they do that, and why? One pure judgement for anybody, now or as of a moment: the same that commands get."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from application.access import (
    ANYTHING,
    STEP_UP,
    Authority,
    Caller,
    Forbidden,
    Passing,
    Resource,
    covers,
    may,
    of_role,
    require_passing,
)
from application.access import Right as HeldRight
from domain.grant.events import Grant, GrantChanged, GrantEvent, GrantExpired, GrantGiven, Right, Subject
from domain.shared import Actor, Recorded

PROVED = frozenset(
    {
        "api_client:edit",
        "audit:export",
        "audit:hold",
        "contact:erase",
        "contract:cancel",
        "contract:sign",
        "grant:give",
        "grant:revoke",
        "user:block",
        "user:deactivate",
        "user:erase",
        "user:password",
        "user:role",
    }
)
"""What a person does only with a fresh proof of the password."""

ALLOWED, NO_GRANT, EXPIRED, NOT_YET, REVOKED = "allowed", "no_grant", "expired", "not_yet", "revoked"
STEP_UP_REQUIRED, SUBJECT_BLOCKED = "step_up_required", "subject_blocked"


class Known(Struct, frozen=True, kw_only=True):
    """A subject as the guards have him, or as the log had him at `position`; judged at the instant `at`.

    Nobody has no role. `rights` are his own and his department's; of the past, those alone that were asked about.
    """

    role: str = ""
    state: str = ""
    department_id: UUID | None = None
    rights: tuple[HeldRight, ...] = ()
    position: int
    at: datetime

    @property
    def kind(self) -> str:
        """As of an actor: `user` or `client`."""
        return "client" if self.role == "client" else "user" if self.role else ""


class Wish(Struct, frozen=True, kw_only=True):
    """A right (`module:action`) on a resource; None: there is no such record. `view`: what must be held besides.

    `proved_at`: when the password was proved last, should that be judged, too.
    """

    right: str
    resource: Resource | None
    view: str | None = None
    proved_at: datetime | None = None

    @property
    def passing(self) -> Passing | None:
        """What is passed on to others, or taken from them."""
        gives = self.right in ("grant:give", "grant:revoke")
        return self.resource.passing if gives and self.resource is not None else None

    @property
    def needed(self) -> tuple[str, ...]:
        """Every right that it takes."""
        passing = None if self.passing is None else self.passing.right
        return tuple(dict.fromkeys(each for each in (self.view, self.right, passing) if each is not None))


class Decision(Struct, frozen=True, kw_only=True):
    """`missing`: the right whose lack decided it."""

    allowed: bool
    reason: str
    authority: Authority | None = None
    missing: str | None = None


class Ended(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a grant ended; one that lapsed by the clock alone has no event yet."""

    how: str
    at: datetime
    by: Actor | None = None
    position: int | None = None
    reason: str | None = None


class Evidence(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A grant as it stood: who gave it, when, by which event, on which terms. `via`: `direct` or `department`."""

    grant: UUID
    via: str
    scope_type: str
    scope_id: str
    module: str
    action: str
    given_by: Actor
    given_at: datetime
    position: int
    event_id: UUID
    not_before: datetime | None = None
    expires_at: datetime | None = None
    grantable: bool = False
    reason: str | None = None
    ended: Ended | None = None


def judged(subject: UUID, known: Known, wish: Wish) -> Decision:
    """In the order in which a command would be refused; what is asked of a sign-in comes last."""
    if known.role and known.state != "active":
        return Decision(allowed=False, reason=SUBJECT_BLOCKED)
    if not known.role or wish.resource is None:
        return Decision(allowed=False, reason=NO_GRANT)
    caller = caller_of(subject, known)
    if wish.view is not None and may(caller, wish.view, wish.resource, known.at) is None:
        return Decision(allowed=False, reason=NO_GRANT, missing=wish.view)
    authority = may(caller, wish.right, wish.resource, known.at)
    if authority is None:
        return Decision(allowed=False, reason=NO_GRANT, missing=wish.right)
    if wish.passing is not None:
        try:
            authority = require_passing(caller, authority, wish.passing, known.at)
        except Forbidden:
            return Decision(allowed=False, reason=NO_GRANT, missing=wish.passing.right)
    if wish.proved_at is not None and asks_proof(known, wish) and known.at - wish.proved_at > STEP_UP:
        return Decision(allowed=False, reason=STEP_UP_REQUIRED, authority=authority)
    return Decision(allowed=True, reason=ALLOWED, authority=authority)


def caller_of(subject: UUID, known: Known) -> Caller:
    """The subject as if he asked himself."""
    return Caller(
        actor=Actor(kind=known.kind, id=subject),
        role=known.role,
        department_id=known.department_id,
        rights=known.rights,
    )


def asks_proof(known: Known, wish: Wish) -> bool:
    """Whether the command would ask for a fresh proof of the password; only people can give one."""
    return known.kind == "user" and wish.right in PROVED


def roles_with(rights: Sequence[str]) -> list[str]:
    """The roles that hold all of them by themselves, or some."""
    return ["admin", *(role for role in ("moderator", "user") if of_role(role) & set(rights))]


def scopes_of(resource: Resource) -> list[tuple[str, str]]:
    """Every scope in which a right on the resource can be held."""
    return [("global", "*"), ("own", "*"), *sorted(resource.scopes - {("global", "*"), ("own", "*")})]


def candidates(
    subject: UUID, known: Known, rights: Sequence[str], resource: Resource | None
) -> dict[UUID, Right]:
    """Every grant by which he could have them, given or not, by its id: his own, then his department's."""
    holders = [Subject(type=known.kind or "user", id=subject)]
    if known.department_id is not None:
        holders.append(Subject(type="department", id=known.department_id))
    found: dict[UUID, Right] = {}
    for holder in holders:
        for right in rights:
            module, _, action = right.partition(":")
            for scope_type, scope_id in scopes_of(resource or ANYTHING):
                one = Right(
                    subject=holder, scope_type=scope_type, scope_id=scope_id, module=module, action=action
                )
                found[one.stream_id] = one
    return found


def evidence(right: Right, events: Sequence[Recorded[GrantEvent]], at: datetime) -> Evidence | None:
    """What the log has of a grant, up to a moment; None: it was never given."""
    terms: Grant | None = None
    given: Recorded[GrantEvent] | None = None
    ended: Ended | None = None
    for each in events:
        event = each.event
        if isinstance(event, GrantGiven | GrantChanged):
            terms, given, ended = event, each, None
        else:
            lapsed = isinstance(event, GrantExpired)
            ended = Ended(
                how=EXPIRED if lapsed else REVOKED,
                at=event.expired_at if isinstance(event, GrantExpired) else each.recorded_at,
                by=None if lapsed else each.metadata.actor,
                position=each.position,
                reason=None if isinstance(event, GrantExpired) else event.reason,
            )
    if terms is None or given is None:
        return None
    if ended is None and terms.expires_at is not None and terms.expires_at <= at:
        ended = Ended(how=EXPIRED, at=terms.expires_at)
    return Evidence(
        grant=right.stream_id,
        via="department" if right.subject.type == "department" else "direct",
        scope_type=right.scope_type,
        scope_id=right.scope_id,
        module=right.module,
        action=right.action,
        given_by=given.metadata.actor,
        given_at=given.recorded_at,
        position=given.position,
        event_id=given.event_id,
        not_before=terms.not_before,
        expires_at=terms.expires_at,
        grantable=terms.grantable,
        reason=terms.reason,
        ended=ended,
    )


def nearest(
    subject: UUID, known: Known, wish: Wish, missing: str, found: Mapping[UUID, Evidence]
) -> tuple[str, Evidence | None]:
    """Why there is no grant: the one that will begin, else the one that ended last."""
    applying = [
        each
        for each in found.values()
        if f"{each.module}:{each.action}" == missing and _applies(each, subject, known, wish)
    ]
    coming = [
        each for each in applying if each.ended is None and each.not_before and each.not_before > known.at
    ]
    if coming:
        return NOT_YET, min(coming, key=lambda each: each.not_before or known.at)
    over = [(each.ended, each) for each in applying if each.ended is not None]
    if not over:
        return NO_GRANT, None
    ended, last = max(over, key=lambda pair: pair[0].at)
    return ended.how, last


def _applies(each: Evidence, subject: UUID, known: Known, wish: Wish) -> bool:
    """Whether it would reach the resource at all: own/* is about records that he answers for."""
    right = HeldRight(
        grant_id=each.grant,
        scope_type=each.scope_type,
        scope_id=each.scope_id,
        module=each.module,
        action=each.action,
    )
    return covers(right, caller_of(subject, known), wish.resource or ANYTHING)


def elsewhere(known: Known, missing: str) -> Iterator[HeldRight]:
    """The same right as he holds it in other scopes."""
    return (each for each in known.rights if f"{each.module}:{each.action}" == missing)
