"""The tree cut into tiles of 256 hashes (C2SP tlog-tiles): how they grow, are named, and answer for subtrees."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from projections.merkle import HASH, Node, Span, nodes, perfect_hash, span_hash

WIDTH = 256
"""Hashes in a complete tile; a hash one level up covers a complete tile below."""

_ROW = WIDTH * HASH
_PATH = re.compile(r"((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


class TileAt(NamedTuple):
    level: int
    number: int


Tiles = Mapping[TileAt, bytes]
"""Rows of hashes; the last tile of a level may be wider than a given tree needs."""


class NotATile(ValueError):
    """A path that names no tile in the one permitted spelling."""


class Edge(NamedTuple):
    """The unfinished right edge of a tree: all that is needed to go on growing it and to know its root.

    `tails[l]` is the row of the partial tile at level l, perhaps empty.
    """

    size: int = 0
    tails: tuple[bytes, ...] = ()

    def grown(self, hashes: Iterable[bytes]) -> tuple["Edge", dict[TileAt, bytes]]:
        """The edge after more leaf hashes, and the row of every tile that changed, partial ones included."""
        row = b"".join(hashes)
        size = self.size + len(row) // HASH
        tails: list[bytes] = []
        changed: dict[TileAt, bytes] = {}
        begun = self.size
        for level, tail in enumerate((*self.tails, *[b""] * 9)):
            if not row:
                tails.append(tail)
                continue
            index = begun // WIDTH
            begun = index
            row = tail + row
            whole = len(row) - len(row) % _ROW
            finished: list[bytes] = []
            for at in range(0, whole, _ROW):
                tile = row[at : at + _ROW]
                changed[TileAt(level, index)] = tile
                finished.append(perfect_hash(tile))
                index += 1
            if whole < len(row):
                changed[TileAt(level, index)] = row[whole:]
            tails.append(row[whole:])
            row = b"".join(finished)
        return Edge(size, tuple(tails[: _levels(size)])), changed

    def root(self) -> bytes:
        return root(self.size, self.tiles())

    def tiles(self) -> dict[TileAt, bytes]:
        return dict(zip(edge_tiles(self.size), (tail for tail in self.tails if tail), strict=True))


def edge_tiles(size: int) -> list[TileAt]:
    """The partial tiles of a tree, from level 0 up."""
    return [
        TileAt(level, whole // WIDTH)
        for level in range(_levels(size))
        if (whole := size >> 8 * level) % WIDTH
    ]


def edge_of(size: int, tiles: Tiles) -> Edge:
    """The edge of a tree of `size`, out of its tiles."""
    tails = [b""] * _levels(size)
    for at in edge_tiles(size):
        tails[at.level] = row_of(tiles, at, (size >> 8 * at.level) % WIDTH)
    return Edge(size, tuple(tails))


def row_of(tiles: Tiles, at: TileAt, width: int) -> bytes:
    """The first `width` hashes of a tile. Raises KeyError when the tile is not there or not that wide."""
    row = tiles[at]
    if len(row) < width * HASH:
        raise KeyError(at)
    return row[: width * HASH]


def tile_of(node: Node) -> TileAt:
    """The tile in which the hashes under a perfect subtree stand."""
    level, inside = divmod(node.height, 8)
    return TileAt(level, (node.number << inside) // WIDTH)


def wanted(spans: Iterable[Span]) -> set[TileAt]:
    """The tiles out of which the hashes of these spans can be computed."""
    return {tile_of(node) for span in spans for node in nodes(span)}


def hashes(spans: Iterable[Span], tiles: Tiles) -> list[bytes]:
    """The Merkle tree hash of each span. Raises KeyError when a tile is missing or too narrow."""

    def hash_of(node: Node) -> bytes:
        inside = node.height % 8
        first = (node.number << inside) % WIDTH
        end = (first + (1 << inside)) * HASH
        row = tiles[tile_of(node)]
        if len(row) < end:
            raise KeyError(tile_of(node))
        return perfect_hash(row[first * HASH : end])

    return [span_hash(span, hash_of) for span in spans]


def root(size: int, tiles: Tiles) -> bytes:
    """The root of the tree of the first `size` leaves."""
    return hashes([Span(0, size)], tiles)[0]


def tile_path(index: int, width: int = WIDTH) -> str:
    """The last part of a tile's path: `x001/x234/067`, with `.p/<width>` for a partial one."""
    digits = [f"{index % 1000:03}"]
    while index := index // 1000:
        digits.append(f"x{index % 1000:03}")
    return "/".join(reversed(digits)) + (f".p/{width}" if width < WIDTH else "")


def parse_tile_path(text: str) -> tuple[int, int]:
    """Index and width out of the last part of a tile's path. Raises NotATile for any spelling but the one."""
    match = _PATH.fullmatch(text) if len(text) < 40 else None
    if match is None:
        raise NotATile(text)
    index = int(match[1].replace("x", "").replace("/", ""))
    width = int(match[2] or WIDTH)
    if tile_path(index, width) != text:
        raise NotATile(text)
    return index, width


def _levels(size: int) -> int:
    return (size.bit_length() + 7) // 8
