"""`python -m bench [part ...]`: the parts named, or all, in one table."""

import sys
from collections.abc import Callable

from bench import store
from bench.figures import Figure, show
from bench.machine import Load, Server, postgres

PARTS: dict[str, Callable[[Server], list[Figure]]] = {"store": store.run}


def main(names: list[str]) -> int:
    if unknown := set(names) - PARTS.keys():
        print(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    with postgres() as server, Load() as load:
        figures = [each for name in names or PARTS for each in PARTS[name](server)]
        machine = server.describe()
    show(figures, machine, f"other processes took {load.others:.2f} cores meanwhile: compare ratios, not rates")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
