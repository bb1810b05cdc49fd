"""What one may ask of a signing key."""

from datetime import datetime

from domain.shared import Command


class AddSigningKey(Command, frozen=True, kw_only=True):
    kid: str
    public_jwk: dict[str, str]
    signs_from: datetime


class ActivateSigningKey(Command, frozen=True, kw_only=True):
    """`early`: although it was not published for as long as planned; who caches published keys may not know it yet."""

    now: datetime
    early: bool = False


class SupersedeSigningKey(Command, frozen=True, kw_only=True):
    verifies_until: datetime


class RetireSigningKey(Command, frozen=True, kw_only=True):
    now: datetime


class CompromiseSigningKey(Command, frozen=True, kw_only=True):
    reason: str


SigningKeyCommand = (
    AddSigningKey | ActivateSigningKey | SupersedeSigningKey | RetireSigningKey | CompromiseSigningKey
)
