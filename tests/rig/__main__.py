"""`python -m tests.rig --seed 1 --seconds 300`: exit code 0 when every promise held, 1 when not, 3 when it got nowhere.

A run that does not end well says how to repeat it.
"""

import argparse
import shlex
import shutil
import sys
import time
import traceback

from tests import servers
from tests.rig import disk
from tests.rig.faults import Plan, fill_the_disk
from tests.rig.play import play
from tests.rig.stage import PROCESSES, Stage


def main() -> int:
    asked = argparse.ArgumentParser(prog="make rig")
    asked.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    asked.add_argument("--seconds", type=float, default=60)
    asked.add_argument("--short", action="store_true", help="SHORT of tests/rig/faults.py instead, on less")
    asked.add_argument("--only", nargs="*", default=(), help="names of faults")
    asked.add_argument("--pace", type=float, default=1, help="below 1: shorter pauses between faults")
    asked.add_argument("--mutant", default="", help="a fault of our own, by its name in tests/rig/mutants.py")
    said = asked.parse_args()
    refused = disk.mounts_of_our_own()
    plan = Plan(said.seed, {} if refused is None else {fill_the_disk: refused})
    faults = plan.short() if said.short else plan.for_ever(said.only)
    seconds = float("inf") if said.short else said.seconds
    processes = [name for name in PROCESSES if name != "jobs-2"] if said.short else PROCESSES
    small = "" if refused else "600m" if said.short else "1500m"
    folder = servers.run_folder()
    try:
        stage = Stage(folder / "rig", said.mutant, small=small, processes=processes)
        outcome = play(stage, faults, plan, seconds=seconds, pace=said.pace)
    except Exception:  # noqa: BLE001 - whatever it is, it is no verdict
        sys.stderr.write(f"{traceback.format_exc()}\n{repeated(said.seed)}\nits logs are in {folder}\n")
        return 3
    shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(outcome.told() + "\n")
    if outcome.verdict.wrong:
        sys.stdout.write(f"{repeated(said.seed)}\n")
        return 1
    return 0


def repeated(seed: int) -> str:
    words = sys.argv[1:] if "--seed" in sys.argv else [*sys.argv[1:], "--seed", str(seed)]
    return f"again: python -m tests.rig {shlex.join(words)}"


if __name__ == "__main__":
    sys.exit(main())
