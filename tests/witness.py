"""A witness, written from C2SP tlog-witness and tlog-cosignature alone: of ours only the verifier of one file."""

import asyncio
import importlib.util
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_FILE = Path(__file__).parents[1] / "docs" / "verify" / "verify_export.py"
_SPEC = importlib.util.spec_from_file_location("verify_export_of_witness", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
verifier = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(verifier)


class Witness:
    """`always`: the answer it gives instead of thinking."""

    name = "witness.example/w1"

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
        self.seen: dict[str, tuple[int, bytes]] = {}
        self.always: tuple[int, bytes] | None = None
        self.asked = 0
        self.url = ""

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    @property
    def vkey(self) -> str:
        key = b64encode(b"\x04" + self.public).decode()
        return f"{self.name}+{self._id.hex()}+{key}"

    @property
    def _id(self) -> bytes:
        return sha256(self.name.encode() + b"\n\x04" + self.public).digest()[:4]

    def add(self, body: bytes) -> tuple[int, bytes]:
        self.asked += 1
        if self.always is not None:
            return self.always
        old_line, _, rest = body.decode().partition("\n")
        head, _, note = rest.partition("\n\n") if not rest.startswith("\n") else ("", "", rest[1:])
        word, old = old_line.split(" ")
        assert word == "old"
        checkpoint = verifier.Checkpoint.of(note)
        size, root = self.seen.get(checkpoint.origin, (0, sha256().digest()))
        if int(old) != size:
            return 409, b"%d\n" % size
        path = [b64decode(line) for line in head.split("\n") if line]
        if size == checkpoint.size and root != checkpoint.root:
            return 409, b"%d\n" % size
        if 0 < size < checkpoint.size and not verifier.is_continued(
            size, checkpoint.size, root, checkpoint.root, path
        ):
            return 422, b""
        self.seen[checkpoint.origin] = (checkpoint.size, checkpoint.root)
        at = int(time.time())
        value = self._key.sign(f"cosignature/v1\ntime {at}\n{checkpoint.text}".encode())
        raw = b64encode(self._id + at.to_bytes(8, "big") + value).decode()
        return 200, f"— {self.name} {raw}\n".encode()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"POST /w1/add-checkpoint HTTP/1.1")
        length = next(
            int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
        )
        status, body = self.add(await reader.readexactly(length))
        writer.write(
            b"HTTP/1.1 %d So\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
        )
        writer.write(body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def witnessing() -> AsyncIterator[Witness]:
    witness = Witness()
    server = await asyncio.start_server(witness.answer, "127.0.0.1", 0)
    witness.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/w1"
    async with server:
        yield witness
