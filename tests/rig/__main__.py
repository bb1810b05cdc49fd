"""`python -m tests.rig --seed 1 --seconds 300`: exit code 0 when every promise held, 1 with the seed when not."""

import argparse
import shutil
import sys
import time

from tests import servers
from tests.rig.faults import Plan
from tests.rig.play import play


def main() -> int:
    asked = argparse.ArgumentParser(prog="make rig")
    asked.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    asked.add_argument("--seconds", type=float, default=60)
    asked.add_argument("--mutant", default="")
    said = asked.parse_args()
    folder = servers.run_folder()
    plan = Plan(said.seed)
    try:
        outcome = play(
            folder / "rig", said.seed, plan.for_ever(), plan, seconds=said.seconds, mutant=said.mutant
        )
    except BaseException:
        sys.stderr.write(f"seed {said.seed}; its logs are in {folder}\n")
        raise
    finally:
        if sys.exc_info()[0] is None:
            shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(outcome.told() + "\n")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
