"""Whether a log is what was signed: every hash, the root, the signature, and the checkpoint kept last time."""

from collections.abc import Iterable, Sequence
from enum import IntEnum

import msgspec
from msgspec import Struct

from infrastructure.audit.export import FORMAT, Block, Header, Line, Trailer
from infrastructure.audit.signed_note import (
    Forged,
    Note,
    Untrusted,
    Verifier,
    open_note,
    parse_note,
    parse_vkey,
)
from projections.merkle import EMPTY_ROOT, leaf_hash
from projections.proofs import Checkpoint, Malformed, parse_checkpoint
from projections.tiles import WIDTH, Edge

LONGEST_LINE = 1_100_000
MOST_FINDINGS = 100


class Verdict(IntEnum):
    """The exit codes of `chancery audit verify`."""

    OK = 0
    TAMPERED = 2
    INCOMPLETE = 3
    UNTRUSTED = 4


_GRAVITY = (Verdict.TAMPERED, Verdict.UNTRUSTED, Verdict.INCOMPLETE, Verdict.OK)


class Finding(Struct, frozen=True, kw_only=True):
    """What is wrong, and with which entry, by its position (from 1), when that can be said."""

    verdict: Verdict
    detail: str
    position: int | None = None


class Report(Struct, frozen=True, kw_only=True):
    """`signed_by` are the keys, as published, whose signatures hold; `pinned`: the reader named them beforehand.

    `note` is the signed checkpoint to keep for next time, if nothing was found.
    """

    entries: int
    checkpoint: Checkpoint | None
    note: str | None
    signed_by: tuple[str, ...]
    pinned: bool
    findings: tuple[Finding, ...]
    more_findings: int = 0

    @property
    def verdict(self) -> Verdict:
        return min((finding.verdict for finding in self.findings), key=_GRAVITY.index, default=Verdict.OK)


class Examiner:
    """Takes an export line by line, in memory that does not grow, and says at the end what it is worth.

    `trusted` are the keys the auditor pinned; without any, a signature shows only that log and key belong together.
    `kept` is the signed checkpoint of last time: the log must begin with exactly what that one covered.
    """

    def __init__(self, trusted: Iterable[Verifier] = (), kept: Note | None = None) -> None:
        self._trusted, self._kept = tuple(trusted), kept
        self._kept_head = None if kept is None else parse_checkpoint(kept.text)
        self._kept_root = EMPTY_ROOT
        self._edge = Edge()
        self._row: list[bytes] = []
        self._next = 0
        self._whole = True
        self._lines = 0
        self._header: Header | None = None
        self._trailer: Trailer | None = None
        self._unreadable: Finding | None = None
        self._findings: list[Finding] = []
        self._more = 0
        self._line = msgspec.json.Decoder(Line).decode

    def take(self, line: bytes) -> None:
        """The next line, with its newline. Nothing is raised, whatever it holds."""
        self._lines += 1
        if self._unreadable is not None:
            self.note(self._unreadable)
            self._unreadable = None
        try:
            if self._trailer is not None:
                self._tampered("there are lines after the checkpoint")
            elif line.startswith(b'{"i":'):
                self._take_entry(self._line(line))
            elif self._lines == 1:
                self._header = msgspec.json.decode(line, type=Header)
            elif line.startswith(b'{"block":'):
                self._take_block(msgspec.json.decode(line, type=Block))
            else:
                self._trailer = msgspec.json.decode(line, type=Trailer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self._unreadable = Finding(
                verdict=Verdict.TAMPERED,
                detail=f"line {self._lines} cannot be read",
                position=None if line.startswith(b'{"block":') else self._next + 1,
            )

    def report(self) -> Report:
        checkpoint: Checkpoint | None = None
        signed_by: tuple[Verifier, ...] = ()
        if self._header is None or self._header.format != FORMAT:
            self._tampered(f"this is no {FORMAT}")
        elif self._unreadable is not None:
            self.note(
                Finding(
                    verdict=Verdict.INCOMPLETE,
                    detail="the file ends in the middle of a line",
                    position=self._unreadable.position,
                )
            )
        elif self._trailer is None:
            self.note(
                Finding(
                    verdict=Verdict.INCOMPLETE,
                    detail=f"the file ends after entry {self._next}, before its checkpoint",
                )
            )
        else:
            checkpoint, signed_by = self._judge(self._header, self._trailer)
        return Report(
            entries=self._next,
            checkpoint=checkpoint,
            note=self._trailer.checkpoint if self._trailer else None,
            signed_by=tuple(key.vkey() for key in signed_by),
            pinned=bool(self._trusted) or self._kept is not None,
            findings=tuple(self._findings),
            more_findings=self._more,
        )

    def _take_entry(self, line: Line) -> None:
        index, expected = line.i, self._next
        if index < expected:
            self._whole = False
            self._tampered("this entry stands out of its order, or twice", index + 1)
            return
        if index > expected:
            self._miss(index)
        if leaf_hash(line.leaf) != line.hash or not line.leaf.startswith(b"[%d," % (index + 1)):
            self._tampered("its content is not the one whose hash is in the tree", index + 1)
        self._next = index + 1
        if len(self._row) < WIDTH:
            self._row.append(line.hash)
        elif self._whole:
            self._whole = False
            self._tampered(f"the hash over the entries up to {index} is missing")

    def _take_block(self, block: Block) -> None:
        first = self._edge.size
        end = min(first + WIDTH, self._header.size if self._header else 0)
        if self._whole and self._next < end:
            self._miss(end)
            self._next = end
        if not self._whole:
            self._row.clear()
            return
        head = self._kept_head
        if head and first <= head.size <= first + len(self._row):
            self._kept_root = self._edge.grown(self._row[: head.size - first])[0].root()
        alone = Edge().grown(self._row)[0].root()
        if block.hash != alone or block.block != first // WIDTH:
            self._tampered(
                f"one of the entries {first + 1} to {first + len(self._row)} was changed with its hash"
            )
        self._edge, _ = self._edge.grown(self._row)
        self._row.clear()

    def _miss(self, until: int) -> None:
        self._whole = False
        first = self._next + 1
        self._tampered(
            "this entry is missing" if first == until else f"entries {first} to {until} are missing", first
        )

    def _judge(self, header: Header, trailer: Trailer) -> tuple[Checkpoint | None, tuple[Verifier, ...]]:
        try:
            note = parse_note(trailer.checkpoint)
            checkpoint = parse_checkpoint(note.text)
            published = tuple(parse_vkey(key) for key in trailer.keys)
        except Malformed as reason:
            self._tampered(f"the checkpoint cannot be read: {reason}")
            return None, ()
        self._compare(header, checkpoint)
        return checkpoint, self._signers(note, checkpoint, published)

    def _compare(self, header: Header, checkpoint: Checkpoint) -> None:
        if (header.origin, header.size) != (checkpoint.origin, checkpoint.size):
            self._tampered("the first line and the checkpoint are not of one log")
        if checkpoint.size != self._next:
            self._tampered(f"{checkpoint.size} entries are signed, and {self._next} are here", self._next + 1)
        elif self._whole and (self._row or self._edge.root() != checkpoint.root):
            self._tampered("the entries do not have the root that is in the checkpoint")
        self._compare_kept(checkpoint)

    def _compare_kept(self, checkpoint: Checkpoint) -> None:
        kept = self._kept_head
        if kept is None:
            return
        if kept.origin != checkpoint.origin:
            self.note(
                Finding(verdict=Verdict.UNTRUSTED, detail=f"the kept checkpoint is of the log {kept.origin}")
            )
        elif kept.size > checkpoint.size:
            self._tampered(f"the log once had {kept.size} entries", checkpoint.size + 1)
        elif self._whole and self._kept_root != kept.root:
            self._tampered(f"the first {kept.size} entries are not the ones of the kept checkpoint")

    def _signers(
        self, note: Note, checkpoint: Checkpoint, published: Sequence[Verifier]
    ) -> tuple[Verifier, ...]:
        """Whose signatures hold. A kept checkpoint vouches for the keys that signed it, and for no other."""
        trusted = self._trusted or tuple(key for key in published if key.name == checkpoint.origin)
        try:
            if self._kept is not None:
                trusted = open_note(self._kept, trusted)
            return open_note(note, trusted)
        except Forged as reason:
            self._tampered(str(reason))
        except Untrusted as reason:
            self.note(Finding(verdict=Verdict.UNTRUSTED, detail=str(reason)))
        return ()

    def _tampered(self, detail: str, position: int | None = None) -> None:
        self.note(Finding(verdict=Verdict.TAMPERED, detail=detail, position=position))

    def note(self, finding: Finding) -> None:
        """Add what was found wrong outside the lines."""
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(finding)
        else:
            self._more += 1
