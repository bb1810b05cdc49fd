"""A decision as it is told: the reason, the grant or role behind it, and on request everything that it stands on."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from application.access import STEP_UP
from application.decision import Evidence, Known, asks_proof, elsewhere
from application.evaluation import Found, Given


class StepUp(Struct, frozen=True, kw_only=True):
    """The command will ask for a proof of the password at most so many seconds old."""

    max_age: int


class Elsewhere(Struct, frozen=True, kw_only=True):
    """The same right, held in another scope."""

    scope_type: str
    scope_id: str
    grant: UUID


class Who(Struct, frozen=True, kw_only=True):
    """The subject as he was: a role of "" means that nobody has this id."""

    role: str
    state: str
    department_id: UUID | None


class Explained(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a decision stands on. Each `position` has its entry, and its proof, at /audit/entries/{position}.

    `required`: every right it takes · `missing`: the one that was not there · `grant` or `role`: what allowed it ·
    `nearest`: the grant that will begin, or ended last · `elsewhere`: the missing right in other scopes, for now alone.
    """

    detail: str
    subject: Who
    required: list[str]
    missing: str | None = None
    grant: Evidence | None = None
    role: Given | None = None
    nearest: Evidence | None = None
    elsewhere: list[Elsewhere] = []


class Context(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why. `at` is the instant it was judged at, `position` how much of the log was known.

    `allowed_by` is the grant's id or `role:<name>`, as events have it; `grant` also names the one that is nearest.
    """

    reason: str
    position: int
    at: datetime
    grant: UUID | None = None
    allowed_by: str | None = None
    expires_at: datetime | None = None
    step_up: StepUp | None = None
    explain: Explained | None = None


class Evaluated(Struct, frozen=True, kw_only=True):
    decision: bool
    context: Context


def told(found: Found, *, explain: bool) -> Evaluated:
    decision, known = found.decision, found.known
    authority = decision.authority
    grant = None if authority is None else authority.grant_id
    ends = next((each.expires_at for each in known.rights if each.grant_id == grant), None)
    context = Context(
        reason=decision.reason,
        position=known.position,
        at=known.at,
        grant=found.miss.grant if found.miss is not None else grant,
        allowed_by=None if authority is None else authority.allowed_by,
        expires_at=ends,
        step_up=StepUp(max_age=int(STEP_UP.total_seconds()))
        if authority and asks_proof(known, found.wish)
        else None,
        explain=explained(found) if explain else None,
    )
    return Evaluated(decision=decision.allowed, context=context)


def explained(found: Found) -> Explained:
    decision, known = found.decision, found.known
    authority = decision.authority
    return Explained(
        detail=_sentence(found),
        subject=Who(role=known.role, state=known.state, department_id=known.department_id),
        required=list(found.wish.needed),
        missing=decision.missing,
        grant=None
        if authority is None or authority.grant_id is None
        else found.traces.get(authority.grant_id),
        role=found.role if authority is not None and authority.grant_id is None else None,
        nearest=found.miss,
        elsewhere=_elsewhere(known, decision.missing),
    )


def _elsewhere(known: Known, missing: str | None) -> list[Elsewhere]:
    return [
        Elsewhere(scope_type=each.scope_type, scope_id=each.scope_id, grant=each.grant_id)
        for each in (() if missing is None else elsewhere(known, missing))
    ]


def _sentence(found: Found) -> str:
    decision, known = found.decision, found.known
    if not known.role:
        return "Nobody has this id."
    if found.wish.resource is None:
        return "There is no such record."
    match decision.reason:
        case "allowed":
            assert decision.authority is not None
            return f"Allowed by {decision.authority.allowed_by}."
        case "step_up_required":
            return "Allowed, but the password must be proved again first."
        case "subject_blocked":
            return f"The account is {known.state}."
        case "not_yet":
            return f"{decision.missing} is granted, but has not begun."
        case "expired" | "revoked":
            return f"{decision.missing} was granted, and is {decision.reason}."
        case _:
            return f"No role and no grant gives {decision.missing} here."
