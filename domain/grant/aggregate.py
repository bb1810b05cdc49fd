"""A right somebody holds: given, changed, and gone by revocation or by the clock; it can be given again."""

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar, assert_never

from msgspec import Struct, convert

from domain.grant.commands import GiveGrant, GrantCommand, LapseGrant, RevokeGrant
from domain.grant.events import Grant, GrantChanged, GrantEvent, GrantExpired, GrantGiven, GrantRevoked
from domain.shared import DomainError, FieldError, Kind, Rules


class Nothing(Struct, frozen=True):
    """Never given."""


class Held(Struct, frozen=True, kw_only=True):
    """Given, and not taken back; the clock may have ended it all the same."""

    grant: Grant


class Gone(Struct, frozen=True, kw_only=True):
    """Revoked, or known to have lapsed."""

    grant: Grant


Standing = Nothing | Held | Gone


class GrantUnknown(DomainError):
    """No grant has this id, or it is not yours to know."""

    code: ClassVar[str] = "grant.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class GrantToOneself(DomainError):
    """Nobody gives himself a right; somebody else who holds it may."""

    code: ClassVar[str] = "grant.to_oneself"
    kind: ClassVar[Kind] = Kind.FORBIDDEN


class GrantInvalid(DomainError):
    """There is no such right to give, nobody to give it to, or its terms make no sense; `errors` says what is wrong."""

    code: ClassVar[str] = "grant.invalid"
    kind: ClassVar[Kind] = Kind.INVALID


def decide(standing: Standing, command: GrantCommand) -> tuple[GrantEvent, ...]:
    match command:
        case GiveGrant():
            return give(standing, command)
        case RevokeGrant():
            return revoke(standing, command)
        case LapseGrant():
            return lapse(standing, command)
        case _:
            assert_never(command)


def give(standing: Standing, command: GiveGrant) -> tuple[GrantEvent, ...]:
    grant = command.grant
    if grant.subject.id == command.by:
        raise GrantToOneself("Nobody gives himself a right.")
    if wrong := tuple(_wrong_terms(grant, command.now)):
        raise GrantInvalid("The terms make no sense.", errors=wrong)
    match standing:
        case Held(grant=before) if not lapsed(before, command.now):
            return () if grant == before else (convert(grant, GrantChanged, from_attributes=True),)
        case Nothing() | Held() | Gone():
            return (convert(grant, GrantGiven, from_attributes=True),)
        case _:
            assert_never(standing)


def _wrong_terms(grant: Grant, now: datetime) -> Iterator[FieldError]:
    if grant.expires_at is None:
        return
    if grant.expires_at <= now:
        yield FieldError(pointer="/expires_at", code="past", detail="This has passed already.")
    elif grant.not_before is not None and grant.expires_at <= grant.not_before:
        yield FieldError(pointer="/expires_at", code="order", detail="This is not after not_before.")


def revoke(standing: Standing, command: RevokeGrant) -> tuple[GrantEvent, ...]:
    match standing:
        case Nothing():
            raise GrantUnknown("There is no such grant.")
        case Held(grant=grant) if not lapsed(grant, command.now):
            return (GrantRevoked(reason=command.reason),)
        case Held() | Gone():
            return ()
        case _:
            assert_never(standing)


def lapse(standing: Standing, command: LapseGrant) -> tuple[GrantEvent, ...]:
    match standing:
        case Nothing():
            raise GrantUnknown("There is no such grant.")
        case Held(grant=grant) if grant.expires_at is not None and lapsed(grant, command.now):
            return (GrantExpired(expired_at=grant.expires_at),)
        case Held() | Gone():
            return ()
        case _:
            assert_never(standing)


def lapsed(grant: Grant, now: datetime) -> bool:
    return grant.expires_at is not None and grant.expires_at <= now


def evolve(standing: Standing, event: GrantEvent) -> Standing:
    match event:
        case GrantGiven() | GrantChanged():
            return Held(grant=convert(event, Grant, from_attributes=True))
        case GrantRevoked() | GrantExpired():
            assert not isinstance(standing, Nothing)
            return Gone(grant=standing.grant)
        case _:
            assert_never(event)


GRANT: Rules[Standing, GrantCommand, GrantEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=GrantUnknown
)
