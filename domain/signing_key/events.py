"""What happens to a key that signs access tokens: so that which key signed on a certain day can be told for ever."""

from datetime import datetime
from typing import ClassVar

from domain.shared import Event


class SigningKeyAdded(Event, frozen=True, kw_only=True):
    """`public_jwk`: the public half (RFC 7518 6.2.1). It is published now, and signs from then on at the earliest."""

    TOPIC: ClassVar[str] = "signing_key.added.v1"

    kid: str
    public_jwk: dict[str, str]
    signs_from: datetime


class SigningKeyActivated(Event, frozen=True, kw_only=True):
    TOPIC: ClassVar[str] = "signing_key.activated.v1"

    kid: str
    activated_at: datetime


class SigningKeySuperseded(Event, frozen=True, kw_only=True):
    """Another key signs; what this one signed is verified until then."""

    TOPIC: ClassVar[str] = "signing_key.superseded.v1"

    kid: str
    verifies_until: datetime


class SigningKeyRetired(Event, frozen=True, kw_only=True):
    """Everything it signed has expired; it verifies nothing any more."""

    TOPIC: ClassVar[str] = "signing_key.retired.v1"

    kid: str


class SigningKeyCompromised(Event, frozen=True, kw_only=True):
    """Somebody else may have it: nothing it ever signed is believed from now on."""

    TOPIC: ClassVar[str] = "signing_key.compromised.v1"

    kid: str
    reason: str


SigningKeyEvent = (
    SigningKeyAdded | SigningKeyActivated | SigningKeySuperseded | SigningKeyRetired | SigningKeyCompromised
)
