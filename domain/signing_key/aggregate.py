"""A key that signs access tokens: published before it signs, kept until what it signed has expired, or thrown out."""

from datetime import datetime
from typing import ClassVar, assert_never
from uuid import UUID, uuid5

from msgspec import Struct

from domain.shared import DomainError, Kind, Rules
from domain.signing_key.commands import (
    ActivateSigningKey,
    AddSigningKey,
    CompromiseSigningKey,
    RetireSigningKey,
    SigningKeyCommand,
    SupersedeSigningKey,
)
from domain.signing_key.events import (
    SigningKeyActivated,
    SigningKeyAdded,
    SigningKeyCompromised,
    SigningKeyEvent,
    SigningKeyRetired,
    SigningKeySuperseded,
)

_NAMES = UUID("6f0a5c7e-2f4b-5d0e-9a51-6f1f0d1f7a20")


class Nothing(Struct, frozen=True):
    """No such key."""


class Pending(Struct, frozen=True, kw_only=True):
    """Known to everybody, and not signing yet."""

    kid: str
    signs_from: datetime


class Active(Struct, frozen=True, kw_only=True):
    kid: str
    activated_at: datetime


class Retiring(Struct, frozen=True, kw_only=True):
    kid: str
    verifies_until: datetime


class Retired(Struct, frozen=True, kw_only=True):
    kid: str


class Compromised(Struct, frozen=True, kw_only=True):
    kid: str


SigningKey = Nothing | Pending | Active | Retiring | Retired | Compromised


class SigningKeyUnknown(DomainError):
    """There is no signing key with this id."""

    code: ClassVar[str] = "signing_key.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class SigningKeyTooEarly(DomainError):
    """The key has not been known for long enough to sign, or something that it signed is still good."""

    code: ClassVar[str] = "signing_key.too_early"
    kind: ClassVar[Kind] = Kind.CONFLICT


class SigningKeyWrongState(DomainError):
    """A signing key goes from pending to active to retiring to retired, or from any of them to compromised."""

    code: ClassVar[str] = "signing_key.wrong_state"
    kind: ClassVar[Kind] = Kind.CONFLICT


def signing_key_id(kid: str) -> UUID:
    """The stream of the key with that thumbprint."""
    return uuid5(_NAMES, kid)


def decide(key: SigningKey, command: SigningKeyCommand) -> tuple[SigningKeyEvent, ...]:
    match key, command:
        case Nothing(), AddSigningKey(kid=kid, public_jwk=public_jwk, signs_from=signs_from):
            return (SigningKeyAdded(kid=kid, public_jwk=public_jwk, signs_from=signs_from),)
        case Nothing(), _:
            raise SigningKeyUnknown("There is no such signing key.")
        case Pending(kid=kid, signs_from=signs_from), ActivateSigningKey(now=now, early=early):
            if now < signs_from and not early:
                raise SigningKeyTooEarly(f"This key signs from {signs_from} on.")
            return (SigningKeyActivated(kid=kid, activated_at=now),)
        case Active(kid=kid), SupersedeSigningKey(verifies_until=verifies_until):
            return (SigningKeySuperseded(kid=kid, verifies_until=verifies_until),)
        case Retiring(kid=kid, verifies_until=verifies_until), RetireSigningKey(now=now):
            if now < verifies_until:
                raise SigningKeyTooEarly(f"What this key signed is good until {verifies_until}.")
            return (SigningKeyRetired(kid=kid),)
        case Compromised(), CompromiseSigningKey():
            return ()
        case (Pending() | Active() | Retiring() | Retired()) as known, CompromiseSigningKey(reason=reason):
            return (SigningKeyCompromised(kid=known.kid, reason=reason),)
        case (
            (Active(), ActivateSigningKey())
            | (Retiring(), SupersedeSigningKey())
            | (Retired(), RetireSigningKey())
        ):
            return ()
        case _:
            raise SigningKeyWrongState(f"The key is {type(key).__name__.lower()}.")


def evolve(key: SigningKey, event: SigningKeyEvent) -> SigningKey:  # noqa: ARG001 - each event tells the whole
    match event:
        case SigningKeyAdded():
            return Pending(kid=event.kid, signs_from=event.signs_from)
        case SigningKeyActivated():
            return Active(kid=event.kid, activated_at=event.activated_at)
        case SigningKeySuperseded():
            return Retiring(kid=event.kid, verifies_until=event.verifies_until)
        case SigningKeyRetired():
            return Retired(kid=event.kid)
        case SigningKeyCompromised():
            return Compromised(kid=event.kid)
        case _:
            assert_never(event)


SIGNING_KEY: Rules[SigningKey, SigningKeyCommand, SigningKeyEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=SigningKeyUnknown
)
