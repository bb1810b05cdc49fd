"""Two readers that share nothing with us but the text of C2SP: one of these tests, one published with the docs."""

import shutil
import subprocess
import sys
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from cryptography.exceptions import InvalidSignature

from infrastructure.embedded.children import wait_until
from tests import second_reader, servers, whole

VERIFIER = Path(__file__).parents[2] / "docs" / "verify" / "verify_export.py"
ENTRIES = 300
"""More than one tile."""


@pytest.fixture(scope="module")
def chancery():
    with (
        whole.up(servers.place("second"), CHANCERY_HTTP_WORKERS="1") as running,
        running.signed_in(patient=True) as admin,
    ):

        def add(number: int) -> None:
            admin.post("/organisations", json={"full_name": f"Alpha {number}"}).raise_for_status()

        with ThreadPoolExecutor(16) as many:
            list(many.map(add, range(ENTRIES)))
        assert wait_until(lambda: size(admin) > ENTRIES, whole.END)
        yield running


@pytest.fixture
def admin(chancery):
    with chancery.signed_in(patient=True) as client:
        yield client


def size(admin: httpx.Client) -> int:
    answer = admin.get("/audit/checkpoint")
    return int(answer.text.split("\n")[1]) if answer.status_code == 200 else 0


def vkey(admin: httpx.Client) -> str:
    return admin.get("/audit/keys").json()["data"][0]["vkey"]


def test_a_second_implementation_accepts_checkpoint_tiles_entries_and_proofs(admin):
    def fetch(place: str) -> bytes:
        return admin.get(f"/audit/{quote(place)}").raise_for_status().content

    key, note = vkey(admin), fetch("checkpoint").decode()
    origin, count, root = second_reader.read_checkpoint(second_reader.open_note(note, key))
    assert (origin, count >= ENTRIES) == (key.partition("+")[0], True)
    bottom = second_reader.tiles(fetch, 0, count)
    assert len(bottom) == count
    assert second_reader.root_of(bottom) == root
    above = second_reader.tiles(fetch, 1, count)
    assert above == [second_reader.root_of(bottom[at * 256 : at * 256 + 256]) for at in range(count // 256)]
    entries = second_reader.entries(fetch, count)
    assert [second_reader.hash_leaf(entry) for entry in entries] == bottom
    for position in (1, 2, 255, 256, 257, count):
        proof = fetch(f"entries/{position}/proof").decode()
        index, at_least = second_reader.check_proof(proof, entries[position - 1], key)
        assert (index, at_least >= count) == (position - 1, True)
        with pytest.raises(AssertionError):
            second_reader.check_proof(proof, entries[position - 1] + b" ", key)
    bent = note.replace(f"\n{count}\n", f"\n{count + 1}\n")
    with pytest.raises(InvalidSignature):
        second_reader.open_note(bent, key)


@pytest.fixture
def bare(chancery, tmp_path) -> Path:
    """A directory that has an export and the verifier, and nothing else of ours."""
    chancery.run("audit", "export", str(tmp_path / "log.ndjson"))
    shutil.copy(VERIFIER, tmp_path)
    return tmp_path


def verify(folder: Path, export: str, *options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-I", VERIFIER.name, export, *options],
        cwd=folder,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def test_the_published_verifier_needs_nothing_of_ours(bare):
    told = VERIFIER.read_text()
    assert not [
        line for line in told.splitlines() if line.startswith(("from infra", "from proj", "import msg"))
    ]
    status, said = verify(bare, "log.ndjson")
    assert (status, "not pinned" in said) == (0, True), said


def test_it_names_what_was_changed_and_tells_the_ways_to_fail_apart(bare, admin):
    lines = (bare / "log.ndjson").read_bytes().splitlines(keepends=True)
    key = vkey(admin)
    assert verify(bare, "log.ndjson", "--key", key)[0] == 0
    kept = admin.get("/audit/checkpoint").text
    (bare / "kept").write_text(kept)
    (bare / "cut").write_bytes(b"".join(lines[:100]))
    assert verify(bare, "cut")[0] == 3
    (bare / "torn").write_bytes((bare / "log.ndjson").read_bytes()[:-20])
    assert verify(bare, "torn")[0] == 3
    leaf = lines[50].partition(b'"leaf":"')[2].partition(b'"')[0]
    assert b64decode(leaf).startswith(b"[50,")
    bent = lines[50].replace(leaf[:12], b"WzUwLCIwMDAw")
    (bare / "bent").write_bytes(b"".join([*lines[:50], bent, *lines[51:]]))
    status, said = verify(bare, "bent", "--key", key)
    assert (status, "entry 50: " in said) == (2, True), said
    (bare / "gap").write_bytes(b"".join([*lines[:50], *lines[51:]]))
    assert verify(bare, "gap", "--key", key)[0] == 2
    (bare / "tail").write_bytes(b"".join([*lines, lines[3]]))
    assert verify(bare, "tail", "--key", key)[0] == 2
    stranger = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert verify(bare, "log.ndjson", "--key", stranger)[0] == 4


def test_it_holds_a_later_export_against_the_checkpoint_kept(bare, chancery, admin):
    head = (bare / "log.ndjson").read_bytes().splitlines()[-1]
    (bare / "kept").write_bytes(
        head.partition(b'"checkpoint":"')[2].partition(b'"')[0].replace(b"\\n", b"\n")
    )
    before = size(admin)
    admin.post("/organisations", json={"full_name": "Later"}).raise_for_status()
    assert wait_until(lambda: size(admin) > before, whole.END)
    chancery.run("audit", "export", str(bare / "later.ndjson"))
    assert verify(bare, "later.ndjson", "--checkpoint", "kept")[0] == 0
    (bare / "newer").write_text(admin.get("/audit/checkpoint").text)
    status, said = verify(bare, "log.ndjson", "--checkpoint", "newer")
    assert (status, "once had" in said) == (2, True), said


def test_a_key_follows_another_in_the_log_and_who_pinned_the_first_can_follow(bare, chancery, admin):
    first, before = vkey(admin), size(admin)
    assert "signs from now on: " in chancery.run("audit", "rotate-key")
    assert wait_until(lambda: size(admin) > before, whole.END)
    old, new = admin.get("/audit/keys").json()["data"]
    assert (old["vkey"], old["until"] is None, new["until"]) == (first, False, None)
    newest = {"X-Min-Position": str(size(admin))}
    found = admin.get("/audit/entries", params={"filter": "topic=audit_key.rotated.v1"}, headers=newest)
    (entry,) = found.raise_for_status().json()["data"]
    assert (entry["data"]["vkey"], entry["data"]["follows"]) == (new["vkey"], [first])
    chancery.run("audit", "export", str(bare / "rotated.ndjson"))
    for key in (old, new):
        assert verify(bare, "rotated.ndjson", "--key", key["vkey"])[0] == 0
        chancery.run("audit", "verify", str(bare / "rotated.ndjson"), "--key", key["vkey"])
