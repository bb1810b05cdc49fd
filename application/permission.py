"""What somebody may do now, as one snapshot that other systems keep until it changes."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from uuid import UUID

from msgspec import Struct

from application.access import Right, in_force, of_role
from application.catalogue import EVERYTHING


class Held(Struct, frozen=True, kw_only=True):
    """Everything one user's permissions follow from, read in one statement.

    `rights` are his own and his department's, not yet begun ones included. `version`: the position at which anything of
    it changed last; `position`: the log's head; `now`: the database's clock; `foreign`: the rights there are to other
    systems' modules, for an administrator.
    """

    role: str
    rights: Sequence[Right]
    version: int
    position: int
    now: datetime
    foreign: frozenset[str] = frozenset()


class Permission(Struct, frozen=True, kw_only=True, omit_defaults=True, order=True):
    """One action that is allowed within a scope; without `expires_at` until further notice."""

    scope_type: str
    scope_id: str
    module: str
    action: str
    expires_at: datetime | None = None


class Snapshot(Struct, frozen=True, kw_only=True):
    """Everything a user may do, sorted, each once.

    `version` grows with every change of his rights, role or department; `next_change_at` is when the clock alone will
    change the list next; `position` is where in the log it is true, and no part of the ETag.
    """

    sub: str
    version: int
    position: int
    next_change_at: datetime | None
    permissions: tuple[Permission, ...]


def snapshot(user_id: UUID, held: Held) -> Snapshot:
    """His own rights, his department's and those of his role; what has lapsed or not begun is not among them."""
    found = list(_by_role(held))
    changes: list[datetime] = []
    everywhere = {key_of(permission) for permission in found}
    for key, group in groupby(sorted(held.rights, key=key_of), key=key_of):
        if key in everywhere:
            continue
        ends, starts = _ends(same := list(group), held.now), _starts(same, held.now)
        if None in ends:
            found.append(_permission(key, None))
            continue
        if last := max((end for end in ends if end), default=None):
            found.append(_permission(key, last))
            changes.append(last)
        changes += starts
    return Snapshot(
        sub=str(user_id),
        version=held.version,
        position=held.position,
        next_change_at=min(changes, default=None),
        permissions=tuple(sorted(found, key=key_of)),
    )


Key = tuple[str, str, str, str]


def key_of(one: Right | Permission) -> Key:
    return one.scope_type, one.scope_id, one.module, one.action


def _permission(key: Key, expires_at: datetime | None) -> Permission:
    scope_type, scope_id, module, action = key
    return Permission(
        scope_type=scope_type, scope_id=scope_id, module=module, action=action, expires_at=expires_at
    )


def _by_role(held: Held) -> Iterator[Permission]:
    for right in EVERYTHING | held.foreign if held.role == "admin" else of_role(held.role):
        module, _, action = right.partition(":")
        yield _permission(("global", "*", module, action), None)


def _ends(rights: Sequence[Right], now: datetime) -> list[datetime | None]:
    return [right.expires_at for right in rights if in_force(right, now)]


def _starts(rights: Sequence[Right], now: datetime) -> list[datetime]:
    return [right.not_before for right in rights if right.not_before is not None and right.not_before > now]
