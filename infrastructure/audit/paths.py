"""Inclusion proofs of many entries of one tree, out of tiles that are asked for once."""

from collections.abc import Mapping, Sequence

from infrastructure.audit.export import Source
from projections.merkle import HASH, Node, consistency_spans, inclusion_spans, node_hash, span_hash
from projections.tiles import WIDTH, TileAt, tile_of, wanted

Path = tuple[bytes, ...]
_TILE = 8
"""Levels of the tree in one tile."""


class Paths:  # bounded: one question about the log
    """For entries in ascending order: of the lowest tiles the last one is kept, of those above all that are needed."""

    def __init__(self, source: Source, size: int) -> None:
        self._source, self._size = source, size
        self._tiles: dict[TileAt, bytes] = {}
        self._high: dict[Node, bytes] = {}
        self._low: dict[Node, bytes] = {}

    async def inclusion(self, indexes: Sequence[int]) -> Mapping[int, Path]:
        """Of entries under one level 0 tile. Raises NothingToExport when a tile is missing."""
        paths = {index: inclusion_spans(index, self._size) for index in indexes}
        spans = {span for path in paths.values() for span in path}
        await self._fetch(wanted(spans))
        self._low.clear()
        hashes = {span: span_hash(span, self._hash) for span in spans}
        return {index: tuple(hashes[span] for span in path) for index, path in paths.items()}

    async def consistency(self, old: int) -> Path:
        """That the tree begins with the one of `old` leaves. Raises NothingToExport."""
        spans = consistency_spans(old, self._size)
        await self._fetch(wanted(spans))
        return tuple(span_hash(span, self._hash) for span in spans)

    def _hash(self, node: Node) -> bytes:
        known = self._low if node.height < _TILE else self._high
        found = known.get(node)
        if found is None:
            if node.height % _TILE:
                below = node.height - 1
                left, right = Node(below, 2 * node.number), Node(below, 2 * node.number + 1)
                found = node_hash(self._hash(left), self._hash(right))
            else:
                at = node.number % WIDTH * HASH
                found = self._tiles[tile_of(node)][at : at + HASH]
            known[node] = found
        return found

    async def _fetch(self, needed: set[TileAt]) -> None:
        self._tiles = {at: row for at, row in self._tiles.items() if at.level or at in needed}
        for at in needed - self._tiles.keys():
            width = min(WIDTH, (self._size >> _TILE * at.level) - at.number * WIDTH)
            self._tiles[at] = await self._source.tile(at, width)
