"""Everything that reads what a stranger may have written of a log: notes, keys, checkpoints, proofs, tiles, exports.

Whatever it is given, a parser answers or raises its own error; what it takes has one spelling; nothing that was changed
counts as signed. `make fuzz` goes on with other seeds for as long as it is told to.
"""

import contextlib
import importlib.util
import io
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from infrastructure.audit.form import FORMAT, Block, Header, Line, Trailer, written
from infrastructure.audit.report import Verdict
from infrastructure.audit.signed_note import (
    Forged,
    Signer,
    Untrusted,
    open_note,
    parse_note,
    parse_vkey,
    sign,
)
from infrastructure.audit.verify_file import examined
from projections.leaf import NotABundle, bundle, unbundle
from projections.merkle import inclusion_spans, leaf_hash, verify_consistency, verify_inclusion
from projections.proofs import Checkpoint, Malformed, Proof, parse_checkpoint, parse_proof
from projections.tiles import Edge, NotATile, hashes, parse_tile_path, tile_path

SIGNER = Signer("chancery.example/audit", bytes(range(32)))
STRANGER = Signer("chancery.example/audit", bytes(32))
SIZE = 300
LEAVES = [b'[%d,"leaf"]' % position for position in range(1, SIZE + 1)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]
TREE, TILES = Edge().grown(HASHES)
CHECKPOINT = Checkpoint(origin="chancery.example/audit", size=SIZE, root=TREE.root())
NOTE = str(sign(CHECKPOINT.text(), [SIGNER, STRANGER]))
PROOF = Proof(
    index=7, path=tuple(hashes(inclusion_spans(7, SIZE), TILES)), checkpoint=NOTE, extra=b"beside"
).text()


def _export() -> bytes:
    lines = [written(Header(format=FORMAT, origin=CHECKPOINT.origin, size=SIZE))]
    for first in range(0, SIZE, 256):
        row = HASHES[first : first + 256]
        lines += [
            written(Line(first + at, leaf, HASHES[first + at]))
            for at, leaf in enumerate(LEAVES[first : first + 256])
        ]
        lines.append(written(Block(first // 256, Edge().grown(row)[0].root())))
    return b"".join(
        [
            *lines,
            written(
                Trailer(checkpoint=str(sign(CHECKPOINT.text(), [SIGNER])), keys=(SIGNER.verifier.vkey(),))
            ),
        ]
    )


EXPORT = _export()
BUNDLE = bundle(LEAVES[:20])
ODD = [
    "\n",
    "\n\n",
    "\r\n",
    "\x00",
    "\u2028",
    "— ",
    " ",
    "+",
    "=",
    "0",
    "-1",
    "٣",
    "9" * 25,
    "A" * 70,
    "\ud7ff",
    "{",
    '"',
]
odd = st.one_of(st.sampled_from(ODD), st.text(max_size=8))


@st.composite
def edited(draw: st.DrawFn, original: str) -> str:
    """A text with some pieces taken out, put in, said twice or moved."""
    text = original
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        piece = draw(st.one_of(odd, st.just(text[start:end] * 2), st.just("")))
        text = text[:start] + piece + text[end:]
    return text


@st.composite
def changed(draw: st.DrawFn, original: bytes) -> bytes:
    """The same for bytes; lines may change their places, too."""
    if draw(st.booleans()):
        lines = original.splitlines(keepends=True)
        here, there = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        what = draw(st.sampled_from(("swapped", "doubled", "removed")))
        if what == "swapped":
            lines[here], lines[there] = lines[there], lines[here]
        elif what == "doubled":
            lines.insert(there, lines[here])
        else:
            del lines[here]
        return b"".join(lines)
    start = draw(st.integers(0, len(original)))
    end = min(len(original), start + draw(st.integers(0, 4)))
    return original[:start] + draw(st.binary(max_size=4)) + original[end:]


def one_spelling_of(parse: Callable[[str], object], write: Callable[[object], str], text: str) -> None:
    """Parsed and written again it is what it was, or it is refused."""
    with contextlib.suppress(Malformed):
        assert write(parse(text)) == text


def note(text: str) -> None:
    one_spelling_of(parse_note, str, text)
    try:
        found = open_note(parse_note(text), [SIGNER.verifier])
    except (Malformed, Forged, Untrusted):
        return
    assert found == (SIGNER.verifier,)
    assert parse_note(text).text == CHECKPOINT.text(), "a signature holds for what was signed alone"


def checkpoint(text: str) -> None:
    one_spelling_of(parse_checkpoint, lambda found: found.text(), text)  # type: ignore[attr-defined]


def proof(text: str) -> None:
    one_spelling_of(parse_proof, lambda found: found.text(), text)  # type: ignore[attr-defined]
    with contextlib.suppress(Malformed):
        found = parse_proof(text)
        for leaf in (HASHES[7], HASHES[8]):
            holds = found.proves(leaf, CHECKPOINT)
            assert not holds or (leaf, found.index) == (HASHES[7], 7)


def key(text: str) -> None:
    one_spelling_of(parse_vkey, lambda found: found.vkey(), text)  # type: ignore[attr-defined]


def tile(text: str) -> None:
    with contextlib.suppress(NotATile):
        assert tile_path(*parse_tile_path(text)) == text


def entries(data: bytes) -> None:
    with contextlib.suppress(NotABundle):
        assert bundle(unbundle(data)) == data


def export(data: bytes) -> None:
    """No byte of it can be another, both verifiers say."""
    lines = data.splitlines(keepends=True)
    report = examined(iter(lines), [SIGNER.verifier])
    assert report.note is None or isinstance(report.note, str)
    assert (report.verdict is Verdict.OK) == (data == EXPORT), report
    with contextlib.redirect_stdout(io.StringIO()):
        known = [SECOND.Key.of(SIGNER.verifier.vkey())]
        said = SECOND.examined(iter(lines), SECOND.Findings(known, None))
    assert (said == 0) == (data == EXPORT), "the verifier of one file, which knows nothing of ours"


def _second() -> ModuleType:
    """docs/verify/verify_export.py."""
    file = Path(__file__).parents[1] / "docs" / "verify" / "verify_export.py"
    spec = importlib.util.spec_from_file_location("verify_export", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SECOND = _second()


def merkle(case: tuple[int, int, int, list[bytes]]) -> None:
    """Nothing proves what is not so, however long or short the proof is."""
    index, size, old, parts = case
    assert not verify_inclusion(leaf_hash(b"not there"), index, size, TREE.root(), parts)
    assert not verify_consistency(old, SIZE, leaf_hash(b"not its root"), TREE.root(), parts) or old == 0


texts = st.one_of(st.text(max_size=200), st.lists(odd, max_size=12).map("".join))
CASES: dict[Callable[..., None], st.SearchStrategy[object]] = {
    note: st.one_of(texts, edited(NOTE)),
    checkpoint: st.one_of(texts, edited(CHECKPOINT.text())),
    proof: st.one_of(texts, edited(PROOF)),
    key: st.one_of(texts, edited(SIGNER.verifier.vkey())),
    tile: st.one_of(texts, edited("x001/x234/067.p/8")),
    entries: st.one_of(st.binary(max_size=300), changed(BUNDLE)),
    export: st.one_of(st.binary(max_size=300), changed(EXPORT), st.just(EXPORT)),
    merkle: st.tuples(
        *[st.integers(-2, 2**64)] * 3,
        st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(HASHES)), max_size=70),
    ),
}


def once(what: Callable[..., None], number: int, examples: int) -> None:
    """So many examples of one parser, the same ones for the same number. Raises what is wrong with it."""

    @seed(number)
    @settings(
        max_examples=examples,
        phases=[Phase.generate, Phase.shrink],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=CASES[what])
    def run(case: object) -> None:
        what(case)

    run()


def fuzz(first: int, seconds: float) -> tuple[int, list[str]]:
    """All of them in turn, round after round; how many examples, and what is wrong."""
    end, number, done = time.monotonic() + seconds, first, 0
    while time.monotonic() < end:
        for what in CASES:
            try:
                once(what, number, 200)
            except Exception as error:  # noqa: BLE001 - whatever a parser raises that is not its own is a finding
                return done, [f"{what.__name__}, seed {number}: {error!r}"]
            done += 200
        number += 1
    return done, []
