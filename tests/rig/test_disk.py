"""A disk that can be filled, where that is allowed: for one process and its children, and gone with them."""

import subprocess
import sys

import pytest

from tests.rig.stage import ROOT

FILLED = """
import sys
from pathlib import Path
from tests.rig import disk

if refused := disk.mounts_of_our_own():
    sys.exit(refused)
place = Path(sys.argv[1])
small = disk.SmallDisk(place, "1m")
with small.full():
    try:
        (place / "more").write_bytes(bytes(100_000))
    except OSError as error:
        print(error.strerror)
(place / "more").write_bytes(bytes(100_000))
print(len(list(place.iterdir())))
"""


def test_nothing_more_goes_onto_it_until_it_is_emptied_and_nobody_else_sees_it(tmp_path):
    place = tmp_path / "small"
    filled = [sys.executable, "-c", FILLED, str(place)]
    done = subprocess.run(filled, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    if done.stderr.startswith("no mounts of our own here"):
        pytest.skip(done.stderr.strip())
    assert done.stdout.splitlines() == ["No space left on device", "1"], done.stderr
    assert list(place.iterdir()) == []
