"""Whether what a selection shows stands just so in the log that was signed. What it does not show is not judged."""

from collections.abc import Iterable
from hashlib import sha256

import msgspec

from infrastructure.audit.form import (
    SELECTION,
    End,
    Misspelled,
    ProvedLine,
    SelectionHeader,
    exactly,
)
from infrastructure.audit.report import Finding, Findings, Report, Verdict
from infrastructure.audit.selection import Selection
from infrastructure.audit.signed_note import Note, Verifier, parse_note, parse_vkey
from infrastructure.event_codec import EventCodec
from projections.leaf import stored_of
from projections.merkle import leaf_hash, verify_consistency, verify_inclusion
from projections.proofs import Checkpoint, Malformed, parse_checkpoint

_header = msgspec.json.Decoder(SelectionHeader).decode
_entry = msgspec.json.Decoder(ProvedLine).decode
_end = msgspec.json.Decoder(End).decode


class SelectionExaminer:
    """Takes a selection line by line, in memory that does not grow, and says at the end what it is worth.

    A range without a filter must be without a gap. Among entries that were filtered one may be missing unseen.
    """

    def __init__(self, trusted: Iterable[Verifier] = (), kept: Note | None = None) -> None:
        self._found = Findings(trusted, kept)
        self._metadata = EventCodec().metadata
        self._digest = sha256()
        self._lines = self._entries = self._last = 0
        self._note: str | None = None
        self._head: Checkpoint | None = None
        self._selection: Selection | None = None
        self._signed_by: tuple[Verifier, ...] = ()
        self._ended = False
        self._unreadable: Finding | None = None

    def take(self, line: bytes) -> None:
        """The next line, with its newline. Nothing is raised, whatever it holds."""
        self._lines += 1
        if self._unreadable is not None:
            self._found.note(self._unreadable)
            self._unreadable = None
        try:
            if self._ended:
                self._found.tampered("there are lines after the last")
            elif self._lines == 1:
                self._begin(exactly(_header, line))
            elif line.startswith(b'{"i":'):
                self._take_entry(exactly(_entry, line))
            else:
                self._finish(exactly(_end, line))
        except Malformed as reason:
            self._found.tampered(f"the checkpoint cannot be read: {reason}")
        except (msgspec.MsgspecError, Misspelled, UnicodeDecodeError, RecursionError):
            after = f", after entry {self._last}" if self._last else ""
            self._unreadable = Finding(
                verdict=Verdict.TAMPERED, detail=f"line {self._lines} cannot be read{after}"
            )
        self._digest.update(line)

    def report(self) -> Report:
        if self._unreadable is not None and self._lines == 1:
            self._found.tampered(f"this is no {SELECTION}")
        elif self._unreadable is not None:
            self._found.incomplete(f"the file ends in the middle of a line, after entry {self._last}")
        elif not self._ended:
            self._found.incomplete(f"the file ends after entry {self._last}, before its last line")
        return Report(
            entries=self._entries,
            checkpoint=self._head,
            note=self._note,
            signed_by=tuple(key.vkey() for key in self._signed_by),
            pinned=self._found.pinned,
            findings=tuple(self._found.found),
            more_findings=self._found.more,
            selection=self._selection,
        )

    def _begin(self, header: SelectionHeader) -> None:
        note = parse_note(header.checkpoint)
        head = parse_checkpoint(note.text)
        published = tuple(parse_vkey(key) for key in header.keys)
        self._note, self._head, self._selection = header.checkpoint, head, header.selection
        self._last = header.selection.first - 1
        if header.format != SELECTION:
            self._found.tampered(f"this is no {SELECTION}")
        if not 1 <= header.selection.first <= header.selection.last <= head.size:
            self._found.tampered(f"a log of {head.size} entries has no {header.selection}")
        self._signed_by = self._found.signers(note, head, published)
        self._compare_kept(head, header)

    def _compare_kept(self, head: Checkpoint, header: SelectionHeader) -> None:
        kept, shown = self._found.kept_head, header.continues
        if kept is None or not self._found.continues(head):
            return
        if kept.size == head.size:
            same = kept.root == head.root
        elif shown is not None and shown.size == kept.size:
            same = verify_consistency(kept.size, head.size, kept.root, head.root, shown.proof)
        else:
            self._found.incomplete(
                f"that the first {kept.size} entries are the ones of the kept checkpoint is not shown by this selection"
            )
            return
        if not same:
            self._found.tampered(f"the first {kept.size} entries are not the ones of the kept checkpoint")

    def _take_entry(self, line: ProvedLine) -> None:
        if self._head is None or self._selection is None:
            return
        position, before = line.i + 1, self._last
        self._entries += 1
        if position <= before:
            self._found.tampered("this entry stands out of its order, or twice", position)
            return
        if not self._selection.filtered:
            self._gap(before, position)
        self._last = position
        if not verify_inclusion(
            leaf_hash(line.leaf), line.i, self._head.size, self._head.root, line.path
        ) or not line.leaf.startswith(b"[%d," % position):
            self._found.tampered("this entry, with this content, is not under the signed root", position)
        elif not self._fits(line.leaf):
            self._found.tampered("this entry is not among what was selected", position)

    def _fits(self, leaf: bytes) -> bool:
        assert self._selection is not None
        try:
            return self._selection.fits(stored_of(leaf), self._metadata)
        except msgspec.MsgspecError:
            return False

    def _gap(self, before: int, position: int) -> None:
        if position == before + 2:
            self._found.tampered("this entry is missing", before + 1)
        elif position > before + 1:
            self._found.tampered(f"entries {before + 1} to {position - 1} are missing", before + 1)

    def _finish(self, end: End) -> None:
        self._ended = True
        if self._selection is not None and not self._selection.filtered:
            self._gap(self._last, self._selection.last + 1)
        if end.entries != self._entries:
            self._found.tampered(f"{end.entries} entries were written, and {self._entries} are here")
        if end.sha256 != self._digest.hexdigest():
            self._found.tampered("the file is not, byte for byte, the one that was written")
