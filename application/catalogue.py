"""Every right there is to own nouns: one table of modules and their actions, and the scopes they are held in."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from msgspec import Struct

from domain.grant.events import Right
from domain.shared import FieldError

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "audit": ("view", "export", "hold"),
    "contact": ("assign", "erase"),
    "contract": ("view", "create", "edit", "sign", "cancel", "amend", "archive", "pay", "invoice"),
    "department": ("view", "create", "edit", "archive"),
    "document": ("view", "create", "edit"),
    "events": ("read",),
    "file": ("view",),
    "grant": ("view", "give", "revoke"),
    "import": ("run",),
    "letter": ("view", "create", "edit", "sign", "withdraw"),
    "notice": ("publish",),
    "occasion": ("view", "create", "edit", "assign", "withdraw"),
    "organisation": ("view", "create", "edit", "archive"),
    "resource": ("view", "create", "edit", "retire"),
    "user": (
        "view",
        "view_contacts",
        "create",
        "edit",
        "role",
        "block",
        "unblock",
        "deactivate",
        "reactivate",
        "password",
        "department",
        "erase",
        "export",
    ),
}
"""Module to its actions; closed, and what an administrator holds."""

SCOPES = ("global", "own", "department", "organisation")
"""What own nouns' rights are held in: everything, the records one answers for, a department's, an organisation's."""

EVERYTHING = frozenset(f"{module}:{action}" for module, actions in ACTIONS.items() for action in actions)

UNGRANTED = frozenset({"api_client:edit", "api_client:view", "module:register"})
"""What administrators alone may do: it is in no catalogue, so nobody can be given it."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SCOPE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,119}")


class Module(Struct, frozen=True, kw_only=True):
    """One module of the catalogue. A foreign one belongs to another system, which asks here what its users may do."""

    module: str
    actions: tuple[str, ...]
    scope_types: tuple[str, ...]
    foreign: bool = False


OWN = tuple(Module(module=name, actions=actions, scope_types=SCOPES) for name, actions in ACTIONS.items())


def faults(right: Right, module: Module | None) -> Iterator[FieldError]:
    """What is wrong with a right, held against its module as the catalogue has it (None: there is no such module)."""
    if module is None:
        yield _unknown("module", right.module, ACTIONS, hint="another system's: POST /permissions/catalogue")
    elif right.action not in module.actions:
        yield _unknown("action", right.action, module.actions)
    scope_types = SCOPES if module is None else module.scope_types
    if right.scope_type not in scope_types:
        yield _unknown("scope_type", right.scope_type, scope_types)
    elif (detail := _wrong_scope_id(right.scope_type, right.scope_id)) is not None:
        yield FieldError(pointer="/scope_id", code="scope", detail=detail)


def _unknown(name: str, given: str, known: Iterable[str], *, hint: str = "") -> FieldError:
    known = list(known)
    near = get_close_matches(given[:60], known, n=1)
    also = f" ({hint})" if hint else ""
    hint = f"did you mean `{near[0]}`?{also}" if near else f"there are {', '.join(known)}{also}."
    if given == "*":
        hint = "wildcards are not given, name each one."
    return FieldError(pointer=f"/{name}", code="unknown", detail=f"There is no {name} `{given[:60]}`; {hint}")


def _wrong_scope_id(scope_type: str, scope_id: str) -> str | None:
    match scope_type:
        case "global" | "own":
            return None if scope_id == "*" else f"The scope {scope_type} has the id `*` and no other."
        case "department" | "organisation":
            return None if _UUID.fullmatch(scope_id) else f"This is the id of no {scope_type}."
        case _:
            return (
                None
                if _SCOPE_ID.fullmatch(scope_id)
                else "Letters, digits and . _ : - only, and no wildcard."
            )
