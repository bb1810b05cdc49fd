"""Witnesses: others who have seen that the log only grew, and say so beside its signature.

C2SP tlog-witness (`add-checkpoint`) and tlog-cosignature (cosignature/v1, Ed25519).
"""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from http import HTTPStatus

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from infrastructure.audit.signed_note import Signature, parse_note
from infrastructure.outbound import SECONDS
from projections.proofs import Checkpoint, Malformed, exact_base64, exact_number

_COSIGNATURE = b"\x04"
LARGEST = 16_384
"""Bytes of an answer."""

Proof = Callable[[int], Awaitable[Sequence[bytes] | None]]
"""That the log of so many entries is the beginning of the one that is shown; None: it never was so long."""


class NotCosigned(Exception):
    """The witness is away, refuses, or answers what is no cosignature of its key."""


class Remembers(Exception):
    """The witness has seen more of this log than there is: it was set back."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(f"the witness {name} has seen {size} entries")
        self.name, self.size = name, size


class Cosigner(Struct, frozen=True, kw_only=True):
    """A witness's public key, and the name its cosignatures bear."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + _COSIGNATURE + self.public).digest()[:4]

    def vkey(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(_COSIGNATURE + self.public).decode()}"

    def cosigned(self, text: str, signature: Signature) -> int | None:
        """When, in seconds since 1970, this key cosigned the checkpoint of that text; None: it did not."""
        if (signature.name, signature.key_id, len(signature.value)) != (self.name, self.key_id, 72):
            return None
        at = int.from_bytes(signature.value[:8], "big")
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(
                signature.value[8:], f"cosignature/v1\ntime {at}\n{text}".encode()
            )
        except InvalidSignature:
            return None
        return at


def parse_cosigner(text: str) -> Cosigner:
    """A published key of type 0x04. Raises Malformed."""
    name, key_id, key = (*text.split("+", 2), "", "")[:3]
    raw = exact_base64(key)
    if not name or len(raw) != 33 or raw[:1] != _COSIGNATURE:
        raise Malformed("not an Ed25519 key for cosignatures")
    found = Cosigner(name=name, public=raw[1:])
    if found.key_id.hex() != key_id:
        raise Malformed("the key id does not belong to name and key")
    return found


class Witness:
    """One witness, and the size of the log that it saw last, as far as we know."""

    def __init__(self, client: httpx.AsyncClient, setting: str) -> None:
        """`setting`: its submission prefix, a space, its key. Raises Malformed."""
        url, _, key = setting.partition(" ")
        self._client, self._url = client, f"{url.rstrip('/')}/add-checkpoint"
        self.cosigner = parse_cosigner(key.strip())
        self._seen = 0

    async def cosign(self, note: str, checkpoint: Checkpoint, proof: Proof) -> str:
        """Its signature lines for this very checkpoint. Raises NotCosigned, Remembers."""
        for _ in range(2):  # the first time it may have to say how much it has seen
            status, body = await self._add(note, checkpoint, proof)
            if status == HTTPStatus.CONFLICT and (seen := _size(body)) not in (None, self._seen):
                self._seen = seen or 0
                continue
            if status != HTTPStatus.OK:
                raise NotCosigned(f"{self.cosigner.name} answered {status}")
            lines = self._lines(note, body)
            self._seen = checkpoint.size
            return lines
        raise NotCosigned(f"{self.cosigner.name} answered 409 twice")

    async def _add(self, note: str, checkpoint: Checkpoint, proof: Proof) -> tuple[int, bytes]:
        parts = await proof(self._seen) if self._seen <= checkpoint.size else None
        if parts is None:
            raise Remembers(self.cosigner.name, self._seen)
        hashes = "".join(f"{b64encode(part).decode()}\n" for part in parts)
        return await self._post(f"old {self._seen}\n{hashes}\n{note}".encode())

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        try:
            async with (
                asyncio.timeout(SECONDS),
                self._client.stream("POST", self._url, content=body) as answer,
            ):
                said = b""
                async for part in answer.aiter_raw():
                    said += part
                    if len(said) > LARGEST:
                        raise NotCosigned(f"{self.cosigner.name} answered more than {LARGEST} bytes")
                return answer.status_code, said
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as problem:
            raise NotCosigned(f"{self.cosigner.name}: {type(problem).__name__}") from None

    def _lines(self, note: str, body: bytes) -> str:
        """Those that its key has signed; others are passed over."""
        text = parse_note(note).text
        try:
            found = parse_note(text + "\n" + body.decode()).signatures
        except (Malformed, UnicodeDecodeError) as reason:
            raise NotCosigned(f"{self.cosigner.name} answered no signature: {reason}") from None
        ours = [each for each in found if self.cosigner.cosigned(text, each) is not None]
        if not ours:
            raise NotCosigned(f"{self.cosigner.name} answered no signature of its key")
        return ours[0].line()


def _size(body: bytes) -> int | None:
    try:
        return exact_number(body.decode().removesuffix("\n"))
    except (Malformed, UnicodeDecodeError):
        return None
