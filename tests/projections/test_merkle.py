"""The tree against the published vectors, against another implementation, and at every size up to 600."""

from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from projections.leaf import NotABundle, bundle, unbundle
from projections.merkle import EMPTY_ROOT, Node, Span, leaf_hash, node_hash, nodes
from projections.tiles import (
    Edge,
    NotATile,
    TileAt,
    edge_of,
    hashes,
    parse_tile_path,
    root,
    tile_path,
)

MOST = 600
LEAVES = [
    bytes.fromhex(x)
    for x in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


@cache
def entries(count: int = MOST) -> tuple[bytes, ...]:
    return tuple(leaf_hash(b"leaf %d" % index) for index in range(count))


@cache
def grown(size: int) -> tuple[Edge, dict[TileAt, bytes]]:
    return Edge().grown(entries()[:size])


def recursive(leaves: tuple[bytes, ...]) -> bytes:
    """MTH word for word from RFC 6962 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(recursive(leaves[:half]), recursive(leaves[half:]))


def widths(size: int) -> dict[TileAt, int]:
    """Every tile of a tree, floor(size / 256**level) hashes at each level (C2SP tlog-tiles)."""
    found: dict[TileAt, int] = {}
    level = 0
    while hashes_at := size >> 8 * level:
        for number in range(-(-hashes_at // 256)):
            found[TileAt(level, number)] = min(256, hashes_at - number * 256)
        level += 1
    return found


def test_the_reference_leaves_have_the_reference_roots() -> None:
    """transparency-dev/merkle, testonly/constants.go: LeafInputs and RootHashes (the RFC 6962 reference values)."""
    hashed = [leaf_hash(leaf) for leaf in LEAVES]
    for size, expected in enumerate(ROOTS):
        assert Edge().grown(hashed[:size])[0].root().hex() == expected


def test_every_size_has_the_root_that_the_rfc_defines_from_edge_and_from_tiles() -> None:
    edge, tiles = Edge(), dict[TileAt, bytes]()
    for size in range(MOST):
        assert edge.root() == root(size, tiles) == recursive(entries()[:size])
        assert edge == edge_of(size, tiles)
        edge, changed = edge.grown(entries()[size : size + 1])
        tiles |= changed


def test_another_implementation_finds_the_same_roots() -> None:
    oracle = InmemoryTree(algorithm="sha256")
    for index in range(300):
        oracle.append_entry(b"leaf %d" % index)
    assert all(oracle.get_root(size) == grown(size)[0].root() for size in range(1, 301))


@given(st.lists(st.integers(0, 700), max_size=6))
def test_it_does_not_matter_in_which_batches_a_tree_grows(batches: list[int]) -> None:
    edge, tiles = Edge(), dict[TileAt, bytes]()
    leaves = entries(5_000)
    for count in batches:
        edge, changed = edge.grown(leaves[edge.size : edge.size + count])
        tiles |= changed
    at_once, all_tiles = Edge().grown(leaves[: edge.size])
    assert edge == at_once
    assert tiles == all_tiles


def test_a_tree_of_70_000_has_the_tiles_of_the_specification() -> None:
    """C2SP tlog-tiles, "Partial Tiles"."""
    found = widths(70_000)
    assert sum(at.level == 0 and width == 256 for at, width in found.items()) == 273
    assert {at: width for at, width in found.items() if at.level or width < 256} == {
        TileAt(0, 273): 112,
        TileAt(1, 0): 256,
        TileAt(1, 1): 17,
        TileAt(2, 0): 1,
    }
    _, tiles = Edge().grown([EMPTY_ROOT] * 70_000)
    assert {at: len(row) // 32 for at, row in tiles.items()} == found


def test_a_wider_tile_answers_for_every_smaller_tree() -> None:
    _, tiles = grown(MOST)
    assert all(root(size, tiles) == recursive(entries()[:size]) for size in range(0, MOST + 1, 7))


def test_a_missing_or_narrow_tile_is_missed() -> None:
    _, tiles = grown(300)
    for lacking in (
        {k: v for k, v in tiles.items() if k != TileAt(0, 1)},
        tiles | {TileAt(0, 1): tiles[TileAt(0, 1)][:-32]},
    ):
        with pytest.raises(KeyError):
            hashes([Span(0, 300)], lacking)


def test_a_span_is_cut_into_perfect_subtrees() -> None:
    assert list(nodes(Span(0, 7))) == [Node(2, 0), Node(1, 2), Node(0, 6)]
    assert list(nodes(Span(4, 7))) == [Node(1, 2), Node(0, 6)]
    assert list(nodes(Span(5, 5))) == []


@pytest.mark.parametrize(
    ("index", "width", "path"),
    [
        (0, 256, "000"),
        (67, 5, "067.p/5"),
        (1234067, 256, "x001/x234/067"),
        (1234067, 112, "x001/x234/067.p/112"),
        (1000, 1, "x001/000.p/1"),
    ],
)
def test_a_tile_has_one_path(index: int, width: int, path: str) -> None:
    """C2SP tlog-tiles, "Merkle Tree": index 1234067 is x001/x234/067."""
    assert tile_path(index, width) == path
    assert parse_tile_path(path) == (index, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "0",
        "67",
        "0067",
        "x000/067",
        "067.p/0",
        "067.p/256",
        "067.p/05",
        "067.p/",
        "x067",
        "001/234",
        "-01",
        "+01",
        "٠٠١",
        "067\n",
        "x001/x234/067/",
        "../067",
        "x1/000",
        "x999/" * 40 + "000",
    ],
)
def test_any_other_spelling_of_a_path_is_refused(path: str) -> None:
    with pytest.raises(NotATile):
        parse_tile_path(path)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_bundle_gives_back_its_entries_and_a_cut_one_does_not(leaves: list[bytes]) -> None:
    data = bundle(leaves)
    assert unbundle(data) == leaves
    if leaves:
        with pytest.raises(NotABundle):
            unbundle(data[:-1])
