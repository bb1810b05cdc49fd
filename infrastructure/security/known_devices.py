"""Tokens of devices on which somebody has signed in before; they open nothing, but are counted apart from strangers."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hmac import compare_digest
from uuid import UUID

from infrastructure.guards import Blind


class KnownDevices:
    """Implements application.proof.Devices. Nothing is stored: a token is its device's id and a MAC over both ids."""

    def __init__(self, blind: Blind) -> None:
        self._blind = blind

    def token(self, device_id: UUID, user_id: UUID) -> str:
        mac = self._blind("sign-in device", f"{device_id} {user_id}")
        return urlsafe_b64encode(device_id.bytes).decode().rstrip("=") + "." + mac

    def known(self, token: str | None, user_id: UUID) -> UUID | None:
        """None: no token, a foreign or forged one, or one that another user was given."""
        if token is None or len(token) > 100 or not token.isascii():
            return None
        try:
            device_id = UUID(bytes=urlsafe_b64decode(token.partition(".")[0] + "=="))
        except (binascii.Error, ValueError):
            return None
        return device_id if compare_digest(token, self.token(device_id, user_id)) else None
