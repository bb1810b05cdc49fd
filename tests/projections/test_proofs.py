"""Proofs from tiles: published examples, another implementation, every pair of sizes, hostile input."""

from base64 import b64encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from projections.merkle import (
    consistency_spans,
    inclusion_spans,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from projections.proofs import Checkpoint, Malformed, Proof, parse_checkpoint, parse_proof
from projections.tiles import Edge, TileAt, hashes, root, wanted

MOST = 600
LEAVES = [leaf_hash(b"leaf %d" % index) for index in range(MOST)]
TILES = Edge().grown(LEAVES)[1]
ROOTS = [root(size, TILES) for size in range(MOST + 1)]
sizes = st.integers(1, MOST)

REFERENCE = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7",
    "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "4271a26be0d8a84f0bd54c8c302e7cb3a3b5d1fa6780a40bcce2873477dab658",
    "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
    "46f6ffadd3d06a09ff3c5860d2755c8b9819db7df44251788c7d8e3180de8eb1",
]
PAIRS = [
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
]
FOURS = [
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]


def inclusion(index: int, size: int) -> list[bytes]:
    return hashes(inclusion_spans(index, size), TILES)


def consistency(old: int, new: int) -> list[bytes]:
    return hashes(consistency_spans(old, new), TILES)


def test_the_reference_proofs() -> None:
    """transparency-dev/merkle, testonly/constants.go: NodeHashes; the proofs over them as in log_proofs_test.go."""
    tiles = {TileAt(0, 0): bytes.fromhex("".join(REFERENCE))}

    def path(spans: list) -> list[str]:
        return [part.hex() for part in hashes(spans, tiles)]

    assert path(inclusion_spans(0, 1)) == []
    assert path(inclusion_spans(0, 8)) == [REFERENCE[1], PAIRS[1], FOURS[1]]
    assert path(inclusion_spans(5, 8)) == [REFERENCE[4], PAIRS[3], FOURS[0]]
    assert path(inclusion_spans(2, 3)) == [PAIRS[0]]
    assert path(inclusion_spans(1, 5)) == [REFERENCE[0], PAIRS[1], REFERENCE[4]]
    assert path(consistency_spans(1, 8)) == [REFERENCE[1], PAIRS[1], FOURS[1]]
    assert path(consistency_spans(6, 8)) == [PAIRS[2], PAIRS[3], FOURS[0]]
    assert path(consistency_spans(2, 5)) == [PAIRS[1], REFERENCE[4]]


def test_the_seven_leaves_of_the_rfc() -> None:
    """RFC 9162 2.1.5: which nodes prove d0, d3, d4, d6, and sizes 3, 4 and 6 against 7."""
    assert inclusion_spans(0, 7) == [(1, 2), (2, 4), (4, 7)]
    assert inclusion_spans(3, 7) == [(2, 3), (0, 2), (4, 7)]
    assert inclusion_spans(4, 7) == [(5, 6), (6, 7), (0, 4)]
    assert inclusion_spans(6, 7) == [(4, 6), (0, 4)]
    assert consistency_spans(3, 7) == [(2, 3), (3, 4), (0, 2), (4, 7)]
    assert consistency_spans(4, 7) == [(4, 7)]
    assert consistency_spans(6, 7) == [(4, 6), (6, 7), (0, 4)]


def test_another_implementation_makes_the_same_inclusion_proofs() -> None:
    oracle = InmemoryTree(algorithm="sha256")
    for index in range(260):
        oracle.append_entry(b"leaf %d" % index)
    for size in (1, 2, 3, 7, 8, 100, 255, 256, 257, 260):
        for index in {0, size // 3, size - 1}:
            assert oracle.prove_inclusion(index + 1, size).path == [LEAVES[index], *inclusion(index, size)]


def test_every_entry_is_proved_at_every_tenth_size() -> None:
    for size in (*range(1, 20), *range(20, MOST, 53), 255, 256, 257, 511, 512, 513, MOST):
        for index in range(0, size, 1 + size // 60):
            assert verify_inclusion(LEAVES[index], index, size, ROOTS[size], inclusion(index, size))


def test_every_pair_of_sizes_is_consistent() -> None:
    for new in (*range(40), 255, 256, 257, 300, 512, 513, MOST):
        for old in range(new + 1):
            assert verify_consistency(old, new, ROOTS[old], ROOTS[new], consistency(old, new))


@given(sizes, st.data())
def test_a_proof_fits_one_entry_at_one_place_only(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda x: x != index)) if size > 1 else size
    proof = inclusion(index, size)
    assert verify_inclusion(LEAVES[index], index, size, ROOTS[size], proof)
    assert not verify_inclusion(LEAVES[index], other, size, ROOTS[size], proof)
    assert not verify_inclusion(LEAVES[index - 1], index, size, ROOTS[size], proof) or size == 1
    assert not verify_inclusion(LEAVES[index], index, size, ROOTS[size - 1], proof)
    assert not verify_inclusion(LEAVES[index], index, size, ROOTS[size], [*proof, ROOTS[0]])
    assert not proof or not verify_inclusion(LEAVES[index], index, size, ROOTS[size], proof[:-1])


@given(sizes, st.data())
def test_a_rewritten_beginning_is_found(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    proof = consistency(old, new)
    wrong = sha256(b"wrong").digest()
    assert not verify_consistency(old, new, wrong, ROOTS[new], proof)
    assert not verify_consistency(old, new, ROOTS[old], wrong, proof)
    assert not verify_consistency(old, new, ROOTS[old], ROOTS[new], [*proof, wrong])
    assert not proof or not verify_consistency(old, new, ROOTS[old], ROOTS[new], [wrong, *proof[1:]])
    assert not proof or not verify_consistency(old, new, ROOTS[old], ROOTS[new], proof[:-1])


@given(
    st.integers(-2, 70),
    st.integers(-2, 70),
    st.lists(st.sampled_from([*LEAVES[:3], b"", b"short"]), max_size=70),
)
def test_nonsense_is_false_and_never_an_error(first: int, second: int, proof: list[bytes]) -> None:
    assert not verify_inclusion(LEAVES[5], first, second, ROOTS[9], proof)
    assert first == second or not verify_consistency(first, second, ROOTS[9], ROOTS[8], proof)


@given(sizes, st.data())
def test_few_tiles_are_read_for_a_proof(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(0, size))
    assert len(wanted(inclusion_spans(index, size))) <= 4
    assert len(wanted(consistency_spans(old, size))) <= 4


@pytest.mark.parametrize("index", [-1, 7, 8])
def test_what_is_not_in_the_tree_has_no_proof(index: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_spans(index, 7)
    with pytest.raises(ValueError, match="no beginning"):
        consistency_spans(8, 7)


def test_a_checkpoint_is_written_as_published() -> None:
    """golang.org/x/mod sumdb/tlog note_test.go, TestFormatTree, and the example of C2SP tlog-checkpoint."""
    assert Checkpoint(
        origin="go.sum database tree", size=123456789012, root=leaf_hash(b"hello world")
    ).text() == ("go.sum database tree\n123456789012\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n")
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    assert parse_checkpoint(text).text() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        "a\n1\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=",
        "a\r\n1\r\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\r\n",
        "a\n01\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n",
        "a\n-1\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n",
        "a\n٣\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n",
        "a\n0x1\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n",
        "a\n99999999999999999999\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n",
        "a\n1\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb1=\n",
        "a\n1\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBTOOBIG=\n",
        "a\n1\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0\n",
        "a\n1\nTszz\n",
        "\n1\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n",
        "a\n1\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\nextension\n",
        "a\n1\nTszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=\n\n",
    ],
)
def test_a_checkpoint_in_any_other_form_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse_checkpoint(text)


def test_a_proof_is_written_as_the_specification_says() -> None:
    """C2SP tlog-proof, "Format", and transparency-dev/merkle proof/tlog_proof_test.go."""
    first, second = (sha256(text).digest() for text in (b"hash1", b"hash2"))
    lines = f"{b64encode(first).decode()}\n{b64encode(second).decode()}\n"
    assert Proof(index=5, path=(first, second), checkpoint="test checkpoint\n").text() == (
        f"c2sp.org/tlog-proof@v1\nindex 5\n{lines}\ntest checkpoint\n"
    )
    assert Proof(index=0, path=(), checkpoint="checkpoint\n", extra=b"more").text() == (
        "c2sp.org/tlog-proof@v1\nextra bW9yZQ==\nindex 0\n\ncheckpoint\n"
    )


@given(st.integers(0, 2**62), st.lists(st.sampled_from(LEAVES), max_size=63), st.none() | st.binary())
def test_a_proof_is_read_as_written(index: int, path: list[bytes], extra: bytes | None) -> None:
    proof = Proof(index=index, path=tuple(path), checkpoint="origin\n1\nroot\n\nsignature\n", extra=extra)
    assert parse_proof(proof.text()) == proof


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wrong-header\nindex 0\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nextra !!notbase64!!\nindex 0\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\n\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex notanumber\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex -5\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 05\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\r\nindex 0\r\n\r\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n!!notbase64!!\n\ncheckpoint\n",
        f"c2sp.org/tlog-proof@v1\nindex 0\n{b64encode(bytes(64)).decode()}\n\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + f"{b64encode(bytes(32)).decode()}\n" * 64 + "\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 0\ncheckpoint\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n\n",
    ],
)
def test_a_proof_in_any_other_form_is_refused(text: str) -> None:
    """Most of these are from transparency-dev/merkle proof/tlog_proof_test.go, TestVerifyTLogProofErrors."""
    with pytest.raises(Malformed):
        parse_proof(text)
