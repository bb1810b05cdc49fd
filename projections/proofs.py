"""The texts an auditor keeps, written and read exactly: C2SP tlog-checkpoint and C2SP tlog-proof."""

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64

from msgspec import Struct

from projections.merkle import HASH, verify_inclusion

PROOF_HEADER = "c2sp.org/tlog-proof@v1"

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x1f]")


class Malformed(ValueError):
    """A text that is not in the one permitted form."""


class Checkpoint(Struct, frozen=True, kw_only=True):
    """The head of the log `origin`: how many leaves, and their root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


class Proof(Struct, frozen=True, kw_only=True):
    """That a leaf stands at `index` under the signed note `checkpoint`."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def text(self) -> str:
        lines = [PROOF_HEADER, *([] if self.extra is None else [f"extra {b64encode(self.extra).decode()}"])]
        lines += [f"index {self.index}", *(b64encode(part).decode() for part in self.path), ""]
        return "\n".join(lines) + "\n" + self.checkpoint

    def proves(self, leaf: bytes, checkpoint: Checkpoint) -> bool:
        """Whether the leaf with this hash is in the tree of a checkpoint that the caller has verified."""
        return verify_inclusion(leaf, self.index, checkpoint.size, checkpoint.root, self.path)


def parse_checkpoint(text: str) -> Checkpoint:
    """A checkpoint of three lines; this log writes no extension lines, so none are taken. Raises Malformed."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0]:
        raise Malformed("a checkpoint has three lines")
    if _CONTROL.search(lines[0]):
        raise Malformed("the origin has a control character")
    return Checkpoint(origin=lines[0], size=exact_number(lines[1]), root=exact_hash(lines[2]))


def parse_proof(text: str) -> Proof:
    """A proof; its checkpoint stays text, to be opened with keys. Raises Malformed."""
    head, blank, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or not checkpoint or lines.pop(0) != PROOF_HEADER:
        raise Malformed(f"no {PROOF_HEADER}")
    extra = exact_base64(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else None
    if not lines or not lines[0].startswith("index "):
        raise Malformed("no index")
    index = exact_number(lines.pop(0)[6:])
    if len(lines) > 63:
        raise Malformed("more hashes than any tree is high")
    return Proof(
        index=index, path=tuple(exact_hash(line) for line in lines), checkpoint=checkpoint, extra=extra
    )


def exact_number(text: str) -> int:
    """A decimal of ASCII digits without a leading zero, below 10**19. Raises Malformed."""
    if not _DECIMAL.fullmatch(text):
        raise Malformed("not a plain decimal number")
    return int(text)


def exact_hash(text: str) -> bytes:
    value = exact_base64(text)
    if len(value) != HASH:
        raise Malformed("not a hash of 32 bytes")
    return value


def exact_base64(text: str) -> bytes:
    """Standard base64 in its one canonical spelling (RFC 4648 section 4). Raises Malformed."""
    try:
        value = b64decode(text, validate=True)
    except (NotBase64, ValueError):
        raise Malformed("not base64") from None
    if b64encode(value).decode() != text:
        raise Malformed("not canonical base64")
    return value
