"""The guard rows of an event: from one pure function per noun, used by append and by verify and rebuild alike."""

from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.shared import (
    Claim,
    ClaimAdded,
    Client,
    Event,
    Forgotten,
    Guard,
    Principal,
    Responsible,
    RightGone,
    RightHeld,
    SessionEnded,
    SessionOpened,
    SessionProved,
    SessionsEnded,
    noun_of,
)
from infrastructure.event_codec import modules

Blind = Callable[[str, str], str]
Row = dict[str, Any]
FORGOTTEN = "forgotten"
"""The list of those whose keys are destroyed with the append."""


class Changes(Struct, frozen=True, kw_only=True):
    """What one command does to the guards: claims taken, and per list of `append`'s JSON the rows."""

    claims: tuple[tuple[str, str], ...] = ()
    rows: tuple[tuple[str, Row], ...] = ()


def of_noun() -> dict[str, Callable[[UUID, Any], tuple[Guard, ...]]]:
    """Noun to its guards function, derived from every domain/<noun>/guards.py."""
    return {noun_of(module.__name__.split(".")[1]): module.guards for module in modules("guards")}


class Guards:
    def __init__(self, blind: Blind) -> None:
        self._blind, self._of_noun = blind, of_noun()

    def of(self, stream_id: UUID, event: Event) -> tuple[Guard, ...]:
        of_noun = self._of_noun.get(event.TOPIC.split(".")[0])
        return of_noun(stream_id, event) if of_noun else ()

    def changes(self, stream_id: UUID, events: Iterable[Event], *, first: bool) -> Changes:
        """`first`: the stream is new and has nothing to release. Of one command's words on a thing the last counts."""
        claims: dict[str, Claim] = {}
        added: list[tuple[str, str]] = []
        principal: Row = {}
        client: Row = {}
        rows: list[tuple[str, Row]] = []
        for guard in (guard for event in events for guard in self.of(stream_id, event)):
            match guard:
                case Claim():
                    claims[guard.kind] = guard
                case ClaimAdded():
                    added.append((guard.kind, guard.value))
                case Principal():
                    principal |= _plain(guard)
                case Client():
                    client |= _plain(guard)
                case _:
                    rows.append(row(guard))
        if principal:
            rows.append(("principals", {"changes": principal}))
        if client:
            rows.append(("clients", {"changes": client}))
        taken = {kind: [self.value(claim, v) for v in claim.values] for kind, claim in claims.items()}
        if not first:
            rows += [("released", {"kind": kind, "kept": values}) for kind, values in taken.items()]
        claimed = [(kind, value) for kind, values in taken.items() for value in values]
        return Changes(claims=(*claimed, *added), rows=tuple(rows))

    def value(self, claim: Claim, value: str) -> str:
        return self._blind(claim.kind, value) if claim.personal else value


def row(guard: Guard) -> tuple[str, Row]:
    """The list of `append`'s JSON it goes to, and its row there."""
    match guard:
        case SessionOpened():
            return "opened", _plain(guard)
        case SessionProved():
            return "proved", _plain(guard)
        case SessionEnded():
            return "ended", {}
        case SessionsEnded():
            return "all_ended", _plain(guard)
        case RightHeld():
            return "rights", _plain(guard)
        case RightGone():
            return "rights_gone", {}
        case Responsible():
            return "responsibles", _plain(guard)
        case Forgotten():
            return FORGOTTEN, {}
        case Claim() | ClaimAdded() | Principal() | Client():
            raise AssertionError("folded by Guards.changes")
        case _:
            assert_never(guard)


def credential(user_id: UUID, password_hash: str) -> tuple[str, Row]:
    return "credentials", {"user_id": str(user_id), "password_hash": password_hash}


def refresh(secret: bytes) -> tuple[str, Row]:
    return "refreshes", {"secret": b64encode(secret).decode()}


def api_key(key_id: str, hashed: str) -> tuple[str, Row]:
    return "client_keys", {"key_id": key_id, "hash": hashed}


def _plain(guard: Guard) -> Row:
    fields: Row = msgspec.to_builtins(guard)
    fields.pop("type", None)
    return fields
