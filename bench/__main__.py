"""`python -m bench [part ...]`: the parts named, or all, in one table. `python -m bench where`: a command's costs.

`python -m bench saturation`, `growth`, `traces`: by callers, by the log's size, by the share of traces; as markdown.

`python -m bench backup --events N`: made, verified, brought back. `handover`: roles from one worker to another.
`upgrade`: the longest a command waits beside migrations.

`python -m bench soak --minutes M`: a long run at half load, and what grew."""

import signal
import sys
from collections.abc import Callable

from bench import (
    answers,
    audit,
    backup,
    clients,
    contracts,
    dashboards,
    growth,
    handover,
    http,
    idle,
    imports,
    letters,
    lists,
    mail,
    messages,
    nouns,
    projector,
    saturation,
    search,
    signin,
    soak,
    store,
    tokens,
    traces,
    upgrade,
    watching,
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
    "idle": idle.run,
    "watching": watching.run,
}
ALONE: dict[str, Callable[[Machine], None]] = {
    "where": where.run,
    "saturation": saturation.run,
    "traces": traces.run,
    "handover": handover.run,
    "upgrade": upgrade.run,
}
"""Those with tables of their own, each by itself."""


def main(names: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers and files go, too
    if len(names) == 1 and (alone := ALONE.get(names[0])) is not None:
        with Load() as load, machine() as servers:
            alone(servers)
            described = servers.describe()
        print(f"\n{described}\n{_noise(load)}")
        return 0
    if names[:1] == ["soak"]:
        return soak.main(names[1:])
    if names[:1] == ["backup"]:
        return backup.main(names[1:])
    if names[:1] == ["growth"]:
        return growth.main(names[1:])
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
        _noise(load),
    )
    return 0


def _noise(load: Load) -> str:
    return f"other processes took {load.others:.2f} cores meanwhile: compare ratios, not rates"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
