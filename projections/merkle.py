"""The Merkle tree of RFC 6962: hashes, subtrees, proofs and how to check them, over nothing but SHA-256."""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

HASH = 32
"""Bytes in a hash."""

EMPTY_ROOT = sha256(b"").digest()
"""The root of a tree without leaves."""


class Span(NamedTuple):
    """The leaves start <= index < end, as one subtree of the tree that a proof is about."""

    start: int
    end: int


class Node(NamedTuple):
    """A perfect subtree: the leaves from number * 2**height on, 2**height of them."""

    height: int
    number: int


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def perfect_hash(row: bytes) -> bytes:
    """The hash over a row of 2**n concatenated hashes."""
    while len(row) > HASH:
        row = b"".join([sha256(b"\x01" + row[at : at + 64]).digest() for at in range(0, len(row), 64)])
    return row


def nodes(span: Span) -> Iterator[Node]:
    """The perfect subtrees that make up a span, left to right."""
    start, end = span
    while start < end:
        height = (end - start).bit_length() - 1
        if start:
            height = min(height, (start & -start).bit_length() - 1)
        yield Node(height, start >> height)
        start += 1 << height


def span_hash(span: Span, hash_of: Callable[[Node], bytes]) -> bytes:
    """The Merkle tree hash over a span (RFC 9162 2.1.1), from the hashes of its perfect subtrees."""
    parts = [hash_of(node) for node in nodes(span)]
    if not parts:
        return EMPTY_ROOT
    joined = parts.pop()
    while parts:
        joined = node_hash(parts.pop(), joined)
    return joined


def inclusion_spans(index: int, size: int) -> list[Span]:
    """What the inclusion proof of a leaf consists of, from its sibling up (RFC 9162 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    spans: list[Span] = []
    start, end = 0, size
    while end - start > 1:
        middle = _split(start, end)
        if index < middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    return spans[::-1]


def consistency_spans(old: int, new: int) -> list[Span]:
    """What proves that a tree of `old` leaves is the beginning of one of `new` (RFC 9162 2.1.4.1).

    Nothing is needed from size 0, nor from a size to itself.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {old} leaves is no beginning of one of {new}")
    if old == 0:
        return []
    spans: list[Span] = []
    start, end = 0, new
    while old < end:
        middle = _split(start, end)
        if old <= middle:
            spans.append(Span(middle, end))
            end = middle
        else:
            spans.append(Span(start, middle))
            start = middle
    if start:
        spans.append(Span(start, end))
    return spans[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the leaf with this hash stands at `index` in the tree of that root (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size or not _hashes(leaf, *proof):
        return False
    place, last, joined = index, size - 1, leaf
    for part in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            joined = node_hash(part, joined)
            place, last = _climb(place, last)
        else:
            joined = node_hash(joined, part)
        place, last = place >> 1, last >> 1
    return last == 0 and joined == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `new_root` begins with the tree of `old_root` (RFC 9162 2.1.4.2)."""
    if not 0 <= old <= new or not _hashes(old_root, new_root, *proof):
        return False
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    if old == new:
        return not proof and old_root == new_root
    parts = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if len(parts) < 2:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    before = after = parts[0]
    for part in parts[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            before, after = node_hash(part, before), node_hash(part, after)
            place, last = _climb(place, last)
        else:
            after = node_hash(after, part)
        place, last = place >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


def _split(start: int, end: int) -> int:
    """Where a subtree divides: after the largest power of two smaller than its number of leaves."""
    return start + (1 << ((end - start - 1).bit_length() - 1))


def _climb(place: int, last: int) -> tuple[int, int]:
    """Past the levels on which a right-most node has no sibling."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _hashes(*values: bytes) -> bool:
    return all(len(value) == HASH for value in values)
