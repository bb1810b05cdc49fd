"""What somebody may do now, as one snapshot that other systems keep until it changes."""

from collections.abc import Iterable, Iterator, Sequence
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
    systems' modules, for an administrator. One who may not act holds nothing: an empty role, no rights.
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
    found = [_permission(key, None) for key in _of_role(held.role, held.foreign)]
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


class Window(Permission, frozen=True, kw_only=True, omit_defaults=True):
    """The same from `not_before` on; without one: already."""

    not_before: datetime | None = None


class Standing(Struct, frozen=True, kw_only=True):
    """What one's rights follow from: the role of one who may act, and what grants give him, begun or not."""

    role: str | None = None
    foreign: tuple[str, ...] = ()
    windows: tuple[Window, ...] = ()


def difference(before: Standing, after: Standing) -> tuple[list[Window], list[Window]]:
    """What is to be forgotten, and what is to be kept instead.

    A right that is named at all is named whole, so that one who forgets what the first list names and keeps the second
    has what `snapshot` says, at any time: a window counts from its `not_before` until just before its `expires_at`.
    """
    was, now = _whole(before), _whole(after)
    keys = sorted(key for key in was.keys() | now.keys() if was.get(key) != now.get(key))
    return (
        [window for key in keys for window in was.get(key, ())],
        [window for key in keys for window in now.get(key, ())],
    )


def _whole(standing: Standing) -> dict[Key, list[Window]]:
    """Each right with its windows, but for those that lie within another."""
    found: dict[Key, list[Window]] = {}
    if standing.role is not None:
        for key in _of_role(standing.role, standing.foreign):
            found[key] = [_window(key)]
    for key, group in groupby(sorted(standing.windows, key=key_of), key=key_of):
        windows = list(dict.fromkeys((*found.get(key, ()), *group)))
        found[key] = [
            each for each in windows if not any(each is not one and _within(each, one) for one in windows)
        ]
    return found


def _window(key: Key) -> Window:
    scope_type, scope_id, module, action = key
    return Window(scope_type=scope_type, scope_id=scope_id, module=module, action=action)


def _within(inner: Window, outer: Window) -> bool:
    begins = outer.not_before is None or (
        inner.not_before is not None and outer.not_before <= inner.not_before
    )
    ends = outer.expires_at is None or (inner.expires_at is not None and inner.expires_at <= outer.expires_at)
    return begins and ends


def key_of(one: Right | Permission) -> Key:
    return one.scope_type, one.scope_id, one.module, one.action


def _permission(key: Key, expires_at: datetime | None) -> Permission:
    scope_type, scope_id, module, action = key
    return Permission(
        scope_type=scope_type, scope_id=scope_id, module=module, action=action, expires_at=expires_at
    )


def _of_role(role: str, foreign: Iterable[str]) -> Iterator[Key]:
    for right in EVERYTHING.union(foreign) if role == "admin" else of_role(role):
        module, _, action = right.partition(":")
        yield "global", "*", module, action


def _ends(rights: Sequence[Right], now: datetime) -> list[datetime | None]:
    return [right.expires_at for right in rights if in_force(right, now)]


def _starts(rights: Sequence[Right], now: datetime) -> list[datetime]:
    return [right.not_before for right in rights if right.not_before is not None and right.not_before > now]
