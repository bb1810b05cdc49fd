"""One entry's proof: made from an export without a server, and checked with nothing but the log's key."""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from infrastructure.audit.export import NothingToExport
from infrastructure.audit.form import Line, ProvedLine, SelectionHeader, Trailer, checkpoint_of
from infrastructure.audit.signed_note import Verifier, open_note, parse_note
from infrastructure.audit.verify_file import is_selection
from projections.merkle import inclusion_spans, leaf_hash
from projections.proofs import Checkpoint, Proof, parse_checkpoint, parse_proof
from projections.tiles import WIDTH, Edge, TileAt, hashes, wanted


class NotProved(Exception):
    """The proof does not lead from the leaf to the root that is signed."""


class Proved(NamedTuple):
    """A leaf, and the proof that it is in the log."""

    leaf: bytes
    proof: Proof


def prove(lines: Iterable[bytes], position: int) -> Proved:
    """From the lines of an export. Raises NothingToExport when it ends before, Malformed, msgspec.DecodeError."""
    lines = iter(lines)
    first = next(lines, b"")
    found = (
        _selected(first, lines, position)
        if is_selection(first)
        else _computed(itertools.chain([first], lines), position)
    )
    if found is None:
        raise NothingToExport(f"there is no entry {position} under a checkpoint in this export")
    return found


def _selected(first: bytes, lines: Iterable[bytes], position: int) -> Proved | None:
    """A selection has the proof beside the entry."""
    note = msgspec.json.decode(first, type=SelectionHeader).checkpoint
    begins = b'{"i":%d,' % (position - 1)
    for line in lines:
        if line.startswith(begins):
            entry = msgspec.json.decode(line, type=ProvedLine)
            return Proved(entry.leaf, Proof(index=entry.i, path=entry.path, checkpoint=note))
    return None


def _computed(lines: Iterable[bytes], position: int) -> Proved | None:
    """Of a whole log the tree is not kept, only what lies beside the entry's way to the root."""
    entry: Line | None = None
    size, edge, row = 0, Edge(), list[bytes]()
    needed: set[TileAt] = set()
    kept: dict[TileAt, bytes] = {}
    for line in lines:
        if line.startswith(b'{"i":'):
            found = msgspec.json.decode(line, type=Line)
            entry = found if found.i == position - 1 else entry
            row.append(found.hash)
        elif line.startswith(b'{"checkpoint":'):
            note = msgspec.json.decode(line, type=Trailer).checkpoint
            if entry is None or checkpoint_of(note).size != edge.size:
                break
            path = hashes(inclusion_spans(position - 1, edge.size), kept | edge.tiles())
            return Proved(entry.leaf, Proof(index=position - 1, path=tuple(path), checkpoint=note))
        elif line.startswith(b'{"format":'):
            size = msgspec.json.decode(line)["size"]
            needed = wanted(inclusion_spans(position - 1, size)) if 1 <= position <= size else set()
        if len(row) == WIDTH or line.startswith(b'{"block":'):
            edge, changed = edge.grown(row)
            kept |= {at: tile for at, tile in changed.items() if at in needed}
            row.clear()
    return None


def check(text: str, leaf: bytes, trusted: Iterable[Verifier]) -> Checkpoint:
    """The signed checkpoint under which the proof puts the leaf. Raises Malformed, Forged, Untrusted, NotProved."""
    proof = parse_proof(text)
    note = parse_note(proof.checkpoint)
    open_note(note, trusted)
    checkpoint = parse_checkpoint(note.text)
    if not proof.proves(leaf_hash(leaf), checkpoint):
        raise NotProved(
            f"no entry {proof.index + 1} with this content under the root of {checkpoint.size} entries"
        )
    return checkpoint
