"""The keys of the log, one after the other: what is written of them is for whoever trusted the one before."""

from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from domain.audit_key.commands import AuditKeyCommand
from domain.audit_key.events import AuditKeyEvent, AuditKeyRotated
from domain.shared import DomainError, Kind, Rules

AUDIT_KEYS = UUID("4a3f3c1e-6f0b-4d53-8a8e-1d0c5f7e2b96")
"""The one stream of the log's keys. It never changes."""


class AuditKeys(Struct, frozen=True, kw_only=True):
    """`newest` signs last; None: nothing was ever rotated."""

    newest: str | None = None


class AuditKeyUnknown(DomainError):
    """The log has no key that another could follow: nothing was ever signed."""

    code: ClassVar[str] = "audit_key.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


def decide(keys: AuditKeys, command: AuditKeyCommand) -> tuple[AuditKeyEvent, ...]:
    if not command.follows:
        raise AuditKeyUnknown("The log has no key yet; the signer makes the first.")
    if command.vkey == keys.newest:
        return ()
    return (AuditKeyRotated(vkey=command.vkey, follows=command.follows, until=command.until),)


def evolve(_: AuditKeys, event: AuditKeyEvent) -> AuditKeys:
    return AuditKeys(newest=event.vkey)


AUDIT_KEY: Rules[AuditKeys, AuditKeyCommand, AuditKeyEvent] = Rules(
    initial=AuditKeys(), decide=decide, evolve=evolve, unknown=AuditKeyUnknown
)
