"""`python -m bench [part ...]`: the parts named, or all, in one table. `python -m bench where`: a command's costs."""

import signal
import sys
from collections.abc import Callable

from bench import (
    answers,
    audit,
    clients,
    contracts,
    dashboards,
    http,
    imports,
    letters,
    lists,
    mail,
    messages,
    nouns,
    projector,
    search,
    signin,
    store,
    tokens,
    where,
)
from bench.figures import Figure, show
from bench.machine import Load, Machine, machine

PARTS: dict[str, Callable[[Machine], list[Figure]]] = {
    "store": store.run,
    "projector": projector.run,
    "http": http.run,
    "nouns": nouns.run,
    "letters": letters.run,
    "mail": mail.run,
    "messages": messages.run,
    "clients": clients.run,
    "signin": signin.run,
    "tokens": tokens.run,
    "answers": answers.run,
    "lists": lists.run,
    "search": search.run,
    "contracts": contracts.run,
    "dashboards": dashboards.run,
    "imports": imports.run,
    "audit": audit.run,
}


def main(names: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers and files go, too
    if names == ["where"]:
        with machine() as servers:
            where.run(servers)
        return 0
    if unknown := set(names) - PARTS.keys():
        print(f"there is no part {', '.join(sorted(unknown))}, only {', '.join(PARTS)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    described = ""
    with Load() as load:
        for name in names or PARTS:
            with machine() as servers:
                figures += PARTS[name](servers)
                described = servers.describe()
    show(
        figures,
        described,
        f"other processes took {load.others:.2f} cores meanwhile: compare ratios, not rates",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
