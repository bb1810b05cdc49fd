"""The rig, for a short while: the same processes and the same verdict as in a long run, and one fault of each sort."""

import subprocess
import sys

from tests.rig.faults import SHORT
from tests.rig.stage import ROOT

PATIENCE = 900
"""Seconds: it has limits of its own, and says more when they end it."""


def test_whatever_befalls_it_nothing_is_lost_or_doubled_and_all_agrees_again():
    rig = [sys.executable, "-m", "tests.rig", "--short", "--seed", "1"]
    done = subprocess.run(rig, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    last = done.stdout.splitlines()[-1]
    assert ", 0 lost, 0 doubled, read models equal, audit " in last, said
    for fault in SHORT:
        assert f"{fault.__name__} 1" in said or f"left out: {fault.__name__}" in said
