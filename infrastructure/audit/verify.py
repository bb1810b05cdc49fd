"""Whether a log is what was signed: every hash, the root, the signature, and the checkpoint kept last time."""

from collections.abc import Iterable

import msgspec

from infrastructure.audit.form import FORMAT, Block, Header, Line, Misspelled, Trailer, exactly
from infrastructure.audit.report import Finding, Findings, Report, Verdict
from infrastructure.audit.signed_note import Note, Verifier, parse_note, parse_vkey
from projections.merkle import EMPTY_ROOT, leaf_hash
from projections.proofs import Checkpoint, Malformed, parse_checkpoint
from projections.tiles import WIDTH, Edge

_header = msgspec.json.Decoder(Header).decode
_line = msgspec.json.Decoder(Line).decode
_block = msgspec.json.Decoder(Block).decode
_trailer = msgspec.json.Decoder(Trailer).decode


class Examiner:  # bounded: 256 leaves of a tile
    """Takes an export of a whole log line by line, in memory that does not grow, and says at the end what it is worth.

    `trusted` and `kept` as in Findings.
    """

    def __init__(self, trusted: Iterable[Verifier] = (), kept: Note | None = None) -> None:
        self._found = Findings(trusted, kept)
        self.note = self._found.note
        self._kept_root = EMPTY_ROOT
        self._edge = Edge()
        self._row: list[bytes] = []
        self._next = 0
        self._whole = True
        self._lines = 0
        self._header: Header | None = None
        self._trailer: Trailer | None = None
        self._unreadable: Finding | None = None

    def take(self, line: bytes) -> None:
        """The next line, with its newline. Nothing is raised, whatever it holds."""
        self._lines += 1
        if self._unreadable is not None:
            self.note(self._unreadable)
            self._unreadable = None
        try:
            if self._trailer is not None:
                self._found.tampered("there are lines after the checkpoint")
            elif line.startswith(b'{"i":'):
                self._take_entry(exactly(_line, line))
            elif self._lines == 1:
                self._header = exactly(_header, line)
            elif line.startswith(b'{"block":'):
                self._take_block(exactly(_block, line))
            else:
                self._trailer = exactly(_trailer, line)
        except (msgspec.MsgspecError, Misspelled, UnicodeDecodeError, RecursionError):
            self._unreadable = Finding(
                verdict=Verdict.TAMPERED,
                detail=f"line {self._lines} cannot be read",
                position=None if line.startswith(b'{"block":') else self._next + 1,
            )

    def report(self) -> Report:
        checkpoint: Checkpoint | None = None
        signed_by: tuple[Verifier, ...] = ()
        if self._header is None or self._header.format != FORMAT:
            self._found.tampered(f"this is no {FORMAT}")
        elif self._unreadable is not None:
            self._found.incomplete("the file ends in the middle of a line", self._unreadable.position)
        elif self._trailer is None:
            self._found.incomplete(f"the file ends after entry {self._next}, before its checkpoint")
        else:
            checkpoint, signed_by = self._judge(self._header, self._trailer)
        return Report(
            entries=self._next,
            checkpoint=checkpoint,
            note=self._trailer.checkpoint if self._trailer else None,
            signed_by=tuple(key.vkey() for key in signed_by),
            pinned=self._found.pinned,
            findings=tuple(self._found.found),
            more_findings=self._found.more,
        )

    def _take_entry(self, line: Line) -> None:
        index, expected = line.i, self._next
        if index < expected:
            self._whole = False
            self._found.tampered("this entry stands out of its order, or twice", index + 1)
            return
        if index > expected:
            self._miss(index)
        if leaf_hash(line.leaf) != line.hash or not line.leaf.startswith(b"[%d," % (index + 1)):
            self._found.tampered("its content is not the one whose hash is in the tree", index + 1)
        self._next = index + 1
        if len(self._row) < WIDTH:
            self._row.append(line.hash)
        elif self._whole:
            self._whole = False
            self._found.tampered(f"the hash over the entries up to {index} is missing")

    def _take_block(self, block: Block) -> None:
        first = self._edge.size
        end = min(first + WIDTH, self._header.size if self._header else 0)
        if self._whole and self._next < end:
            self._miss(end)
            self._next = end
        if not self._whole:
            self._row.clear()
            return
        head = self._found.kept_head
        if head and first <= head.size <= first + len(self._row):
            self._kept_root = self._edge.grown(self._row[: head.size - first])[0].root()
        alone = Edge().grown(self._row)[0].root()
        if block.hash != alone or block.block != first // WIDTH:
            self._found.tampered(
                f"one of the entries {first + 1} to {first + len(self._row)} was changed with its hash"
            )
        self._edge, _ = self._edge.grown(self._row)
        self._row.clear()

    def _miss(self, until: int) -> None:
        self._whole = False
        first = self._next + 1
        self._found.tampered(
            "this entry is missing" if first == until else f"entries {first} to {until} are missing", first
        )

    def _judge(self, header: Header, trailer: Trailer) -> tuple[Checkpoint | None, tuple[Verifier, ...]]:
        try:
            note = parse_note(trailer.checkpoint)
            checkpoint = parse_checkpoint(note.text)
            published = tuple(parse_vkey(key) for key in trailer.keys)
        except Malformed as reason:
            self._found.tampered(f"the checkpoint cannot be read: {reason}")
            return None, ()
        self._compare(header, checkpoint)
        return checkpoint, self._found.signers(note, checkpoint, published)

    def _compare(self, header: Header, checkpoint: Checkpoint) -> None:
        if (header.origin, header.size) != (checkpoint.origin, checkpoint.size):
            self._found.tampered("the first line and the checkpoint are not of one log")
        if checkpoint.size != self._next:
            self._found.tampered(
                f"{checkpoint.size} entries are signed, and {self._next} are here", self._next + 1
            )
        elif self._whole and (self._row or self._edge.root() != checkpoint.root):
            self._found.tampered("the entries do not have the root that is in the checkpoint")
        kept = self._found.kept_head
        if kept and self._found.continues(checkpoint) and self._whole and self._kept_root != kept.root:
            self._found.tampered(f"the first {kept.size} entries are not the ones of the kept checkpoint")
