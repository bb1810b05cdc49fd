"""`python -m tests.rig.bite`: whether each mutant is noticed by whoever is to notice it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from random import Random

from tests.rig.mutants import MUTANTS, Finder, Mutant
from tests.rig.stage import PATCHES, ROOT

SEEDS = 3
"""Runs of the rig among which one must notice."""
SECONDS = 12
"""Of faults, in each of them."""
PATIENCE = 300.0
"""Seconds after which an attempt is ended: it came to no verdict."""


def main() -> int:
    """A run without any mutant comes first: what notices something there notices nothing."""
    names = sys.argv[1:] or list(MUTANTS)
    control = ended({}, rig(seed=1, only=(), mutant=""), expected=0)
    verdict = {0: "nothing is noticed, as it should be", 1: "NOTICED"}.get(control, "NO VERDICT")
    sys.stdout.write(f"no mutant: {verdict}\n")
    sys.stdout.flush()
    caught = sum(told(name, MUTANTS[name]) for name in names)
    sys.stdout.write(f"{caught}/{len(names)} caught\n")
    return 0 if control == 0 and caught == len(names) else 1


def told(name: str, mutant: Mutant) -> bool:
    began = time.monotonic()
    tried = attempts(name, mutant)
    by = next((command for environment, command in tried if ended(environment, command) == 1), None)
    found = f"caught by {' '.join(by[2:])}" if by else f"NOT CAUGHT by {mutant.finder.value}"
    sys.stdout.write(f"{name}: {mutant.says}: {found}, in {time.monotonic() - began:.0f} s\n")
    sys.stdout.flush()
    return by is not None


def attempts(name: str, mutant: Mutant) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Environments and commands, each of which fails if it notices."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-n0", "-x"]
    here = {"RIG_MUTANT": name, "PYTHONPATH": f"{PATCHES}{os.pathsep}{ROOT}"}
    match mutant.finder:
        case Finder.RIG:
            for seed in Random(name).sample(range(1000), SEEDS):
                yield {}, rig(seed=seed, only=mutant.faults, mutant=name)
        case Finder.SIMULATOR:
            yield here, [*pytest, "tests/simulator/test_delivery.py"]
        case Finder.TESTS:
            for test in mutant.named:
                yield here, [*pytest, test]


def rig(*, seed: int, only: Sequence[str], mutant: str) -> list[str]:
    words = ["--seconds", str(SECONDS), "--seed", str(seed)]
    words += ["--mutant", mutant] if mutant else []
    words += ["--only", *only] if only else []
    return [sys.executable, "-m", "tests.rig", *words]


def ended(environment: dict[str, str], command: list[str], *, expected: int = 1) -> int:
    """0: it noticed nothing; 1: it did; else it came to no verdict. What was not expected goes to stderr."""
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"{' '.join(command)} does not end\n")
        return -1
    if done.returncode not in (0, expected):
        sys.stderr.write(done.stdout[-2000:] + done.stderr[-2000:])
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
