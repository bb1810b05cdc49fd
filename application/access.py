"""May this caller do that? The one authorization question, answered from roles and rights alone."""

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from domain.shared import Actor

STEP_UP = timedelta(seconds=300)
"""How long a proved password counts (api.md, step-up)."""


class Right(Struct, frozen=True, kw_only=True):
    """A grant in force, as the `rights` guard holds it."""

    grant_id: UUID
    scope_type: str
    scope_id: str
    module: str
    action: str
    grantable: bool = False
    not_before: datetime | None = None
    expires_at: datetime | None = None


class Caller(Struct, frozen=True, kw_only=True):
    """Who is asking, as the guards knew him at `access_version` of his session.

    `sub`: what the identity provider calls him whose token he came with.
    """

    actor: Actor
    role: str | None = None
    department_id: UUID | None = None
    session_id: UUID | None = None
    access_version: int = 0
    proved_at: datetime | None = None
    must_change_password: bool = False
    rights: tuple[Right, ...] = ()
    sub: str | None = None


class Passing(Struct, frozen=True, kw_only=True):
    """A right given to somebody, who will hold it `until` then (None: for ever), or taken away (UNSET)."""

    right: str
    scope_type: str
    scope_id: str
    until: datetime | None | UnsetType = UNSET


class Resource(Struct, frozen=True, kw_only=True):
    """The record a right is asked for, as scopes see it. `passing`: what the command passes on, too."""

    scopes: frozenset[tuple[str, str]] = frozenset()
    responsible_ids: frozenset[UUID] = frozenset()
    passing: Passing | None = None


ANYTHING = Resource()


class Need(Struct, frozen=True, kw_only=True):
    """What a command demands: the right to do it, the right to know of the record, a fresh proof of the password.

    `by`: on what it rests where no right is needed.
    """

    right: str | None
    view: str | None = None
    step_up: bool = False
    by: str = "self"


class Authority(Struct, frozen=True, kw_only=True):
    """On what the caller relied: `role:<name>` or a grant's id; it stands in the event.

    `terms_of`: rights whose very terms it rests on; append judges those again, too.
    """

    allowed_by: str
    grant_id: UUID | None = None
    terms_of: tuple[Right, ...] = ()


class AccessError(Exception):
    """A refusal that comes from who is asking, not from a rule of the domain."""

    code: ClassVar[str]

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail, self.extra = detail, extra


class Unauthenticated(AccessError):
    """Another proof of who is asking would help."""


class SessionEnded(Unauthenticated):
    """The session is over: signed out, expired, or ended with the account."""

    code = "session_ended"


class Forbidden(AccessError):
    """You are known, but not allowed; `required` names the right that is missing."""

    code = "forbidden"


class StepUpRequired(AccessError):
    """The password must have been proved within the last five minutes (RFC 9470)."""

    code = "step_up_required"


class PasswordChangeRequired(AccessError):
    """A temporary password must be changed before anything else."""

    code = "password_change_required"


MODERATOR = frozenset(
    {
        "user:view",
        "user:view_contacts",
        "user:edit",
        "user:block",
        "user:unblock",
        "user:password",
        "user:role",
    }
)
USER = frozenset({"user:view"})
SYSTEM_ROLE = "system"


def may(caller: Caller, right: str, resource: Resource, now: datetime) -> Authority | None:
    """The authority by which the caller may use `right` (`module:action`) on the resource; None: he may not."""
    if right in of_role(caller.role) or caller.role in ("admin", SYSTEM_ROLE):
        return Authority(allowed_by=f"role:{caller.role}")
    module, _, action = right.partition(":")
    for held in caller.rights:
        if (
            held.module == module
            and held.action == action
            and in_force(held, now)
            and covers(held, caller, resource)
        ):
            return Authority(allowed_by=str(held.grant_id), grant_id=held.grant_id)
    return None


def of_role(role: str | None) -> frozenset[str]:
    return {"moderator": MODERATOR, "user": USER}.get(role or "", frozenset())


def in_force(right: Right, now: datetime) -> bool:
    return (right.not_before is None or right.not_before <= now) and (
        right.expires_at is None or now < right.expires_at
    )


def covers(right: Right, caller: Caller, resource: Resource) -> bool:
    match right.scope_type:
        case "global":
            return right.scope_id == "*"
        case "own":
            return caller.actor.id in resource.responsible_ids
        case scope_type:
            return (scope_type, right.scope_id) in resource.scopes


def require(caller: Caller, right: str, now: datetime, resource: Resource = ANYTHING) -> Authority:
    """As `may`, but raises Forbidden."""
    authority = may(caller, right, resource, now)
    if authority is None:
        raise Forbidden(f"This needs the right {right}.", required=right)
    return authority


def require_passing(caller: Caller, authority: Authority, passing: Passing, now: datetime) -> Authority:
    """Who may give and take rights does so with those alone that he holds himself, grantable, in the same scope or
    everywhere, and at least as long. Answers the grant that is passed on; raises Forbidden.
    """
    if caller.role in ("admin", SYSTEM_ROLE):
        return authority
    for held in caller.rights:
        if (
            held.grantable
            and f"{held.module}:{held.action}" == passing.right
            and in_force(held, now)
            and encloses(held, passing)
        ):
            also = tuple(right for right in caller.rights if right.grant_id == authority.grant_id)
            return Authority(allowed_by=str(held.grant_id), grant_id=held.grant_id, terms_of=(held, *also))
    raise Forbidden(
        f"Only who holds {passing.right} in this scope himself, grantable and as long, passes it on or takes it away.",
        required=passing.right,
    )


def encloses(held: Right, passing: Passing) -> bool:
    """Whether nothing of what is passed on lies outside of what is held: neither in scope nor in time."""
    inside = ("global", "*"), (passing.scope_type, passing.scope_id)
    if (held.scope_type, held.scope_id) not in inside:
        return False
    if held.expires_at is None or isinstance(passing.until, UnsetType):
        return True
    return passing.until is not None and passing.until <= held.expires_at


def require_proof(caller: Caller, now: datetime) -> None:
    """Raises StepUpRequired unless the caller has proved the password lately; only people can."""
    if caller.actor.kind == "user" and (caller.proved_at is None or now - caller.proved_at > STEP_UP):
        raise StepUpRequired("Prove your password again: POST /auth/step-up.")


def system() -> Caller:
    """Chancery itself: bootstrap, reactions, sweepers."""
    return Caller(actor=Actor(kind="system", id=UUID(int=0)), role=SYSTEM_ROLE)


SERVICE = UUID(int=1)
"""The actor of whoever knows the service secret."""


def service() -> Caller:
    """A program of ours beside Chancery, known by the shared secret: it may use what is made for it, and no right."""
    return Caller(actor=Actor(kind="service", id=SERVICE))
