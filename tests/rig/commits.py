"""`python -m tests.rig.commits`: commands of which each connection is cut right after its COMMIT was sent.

Whether it was stored nobody is told; each is asked again until it is answered, by a client who is sometimes patient
and sometimes asks another server at once, while the first one still tries. Each must be in the log once.
"""

import argparse
import shutil
import sys
from random import Random

import httpx
from msgspec import Struct

from tests import servers
from tests.rig import oracle
from tests.rig.driver import AGAIN, Intent, Ledger, Office
from tests.rig.edge import Edge, Mode
from tests.rig.stage import Stage

COMMANDS = 200
HASTY, PATIENT = 0.02, 15.0
"""Seconds a client waits for an answer before he asks again, maybe elsewhere."""
TRIES = 300


class Cut(Struct, frozen=True, kw_only=True):
    """`cut`: commands of which a connection was cut. `repeated`: times that a client asked again."""

    commands: int
    once: int
    cut: int
    repeated: int
    wrong: list[str]

    def told(self) -> str:
        said = (
            f"{self.once}/{self.commands} to one event: {self.cut} cut after the COMMIT was sent,"
            f" {self.repeated} times asked again by the client"
        )
        return "\n".join([said, *self.wrong])


def cut_each(stage: Stage, commands: int, seed: int) -> Cut:
    """The stage has started."""
    ledger, dice = Ledger(stage.place / "commits.ndjson"), Random(seed)
    office, edges = Office(stage.apis, ledger), [api.edges["postgres"] for api in stage.apis]
    repeated = cut = 0
    with httpx.Client(timeout=PATIENT) as client:
        headers = {"Authorization": f"Bearer {office.token(client)}"}
        for url in office.urls:  # its writer connects at the first command, and is cut at the next
            client.post(f"{url}/organisations", json={"full_name": url}, headers=headers).raise_for_status()
        for number in range(commands):
            intent = Intent(key=f"{seed}-{number}", what="organisation", path="/organisations")
            ledger.asks(intent)
            urls = iter(dice.sample(office.urls, len(office.urls)) * TRIES)
            before = _cuts(edges)
            for edge in edges:
                edge.set(Mode.CUT_NEXT_COMMIT)
            named = headers | {"Idempotency-Key": intent.key, "X-Request-Id": intent.key}
            while intent.key not in ledger.answered:
                try:
                    answer = client.post(
                        next(urls) + intent.path,
                        json={"full_name": intent.key},
                        headers=named,
                        timeout=dice.choice((HASTY, PATIENT)),
                    )
                except httpx.TransportError:
                    repeated += 1
                    continue
                if answer.status_code == 201:
                    ledger.hears(intent, 201, answer.json())
                else:
                    assert answer.status_code == 503, answer.text
                    repeated += 1
                    office.over.wait(AGAIN)
            cut += _cuts(edges) > before
    ledger.close()
    events = oracle.read_log(stage)
    wrong = [*oracle.lost(events, ledger), *oracle.doubled(events, ledger)]
    made = {event.request for event in events}
    return Cut(
        commands=commands,
        once=len(ledger.asked.keys() & made) - len(wrong),
        cut=cut,
        repeated=repeated,
        wrong=wrong,
    )


def _cuts(edges: list[Edge]) -> int:
    return sum(edge.cuts[Mode.CUT_AFTER_COMMIT] for edge in edges)


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.rig.commits")
    asked.add_argument("--commands", type=int, default=COMMANDS)
    asked.add_argument("--seed", type=int, default=1)
    said = asked.parse_args()
    folder = servers.run_folder()
    stage = Stage(folder / "rig", processes=("serve-1", "serve-2", "work-1"))
    try:
        stage.start()
        found = cut_each(stage, said.commands, said.seed)
    finally:
        stage.stop()
        shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(found.told() + "\n")
    return 0 if found.once == found.cut == found.commands else 1


if __name__ == "__main__":
    sys.exit(main())
