"""`python -m tests.rig.bite`: whether each mutant is noticed by whoever is to notice it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from random import Random

from tests.rig.mutants import MUTANTS, Finder, Mutant
from tests.rig.stage import PATCHES, ROOT

SEEDS = 3
"""Runs of the rig among which one must notice."""


def main() -> int:
    names = sys.argv[1:] or list(MUTANTS)
    caught = sum(told(name, MUTANTS[name]) for name in names)
    sys.stdout.write(f"{caught}/{len(names)} mutants caught\n")
    return 0 if caught == len(names) else 1


def told(name: str, mutant: Mutant) -> bool:
    by = next((how for how in attempts(name, mutant) if fails(*how)), None)
    found = f"caught by {' '.join(by[1][3:])}" if by else f"NOT CAUGHT by {mutant.finder.value}"
    sys.stdout.write(f"{name}: {mutant.says}: {found}\n")
    sys.stdout.flush()
    return by is not None


def attempts(name: str, mutant: Mutant) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Environments and commands, each of which fails if it notices."""
    python, pytest = [sys.executable, "-m"], ["pytest", "-q", "-n0", "-x"]
    here = {"RIG_MUTANT": name, "PYTHONPATH": f"{PATCHES}{os.pathsep}{ROOT}"}
    match mutant.finder:
        case Finder.RIG:
            for seed in Random(name).sample(range(1000), SEEDS):
                yield {}, [*python, "tests.rig", "--seconds", "25", "--seed", str(seed), "--mutant", name]
        case Finder.SIMULATOR:
            yield here, [*python, *pytest, "tests/simulator/test_delivery.py"]
        case Finder.TESTS:
            for test in mutant.named:
                yield here, [*python, *pytest, test]


def fails(environment: dict[str, str], command: list[str]) -> bool:
    """A command that fails for another reason than what it found counts for nothing: it says so by another code."""
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        sys.stderr.write(done.stdout[-2000:] + done.stderr[-2000:])
    return done.returncode == 1


if __name__ == "__main__":
    sys.exit(main())
