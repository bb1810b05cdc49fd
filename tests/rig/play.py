"""One run: work, faults, and what is left of the promises afterwards."""

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from tests.rig import oracle
from tests.rig.driver import Clerks, Ledger, Office
from tests.rig.faults import Fault, Plan
from tests.rig.stage import Stage
from tests.rig.work import EVERYTHING


class Outcome(Struct, frozen=True, kw_only=True):
    """`wrong`: the promises that were broken. `settled`: seconds from the last fault to the verdict."""

    seed: int
    seconds: float
    settled: float
    faults: Counter[str]
    asked: int
    answered: int
    events: int
    statuses: Counter[object]
    cuts: int
    wrong: list[str]

    def told(self) -> str:
        lines = [
            f"seed {self.seed}: {sum(self.faults.values())} faults in {self.seconds:.0f} s",
            f"judged in {self.settled:.0f} s: {self.asked} asked, {self.answered} answered, {self.events} events",
            f"{self.cuts} connections cut after a commit",
            "faults: " + ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items())),
            "answers: " + ", ".join(f"{status} {count}" for status, count in self.statuses.most_common()),
        ]
        if self.wrong:
            return "\n".join([*lines, f"BROKEN ({len(self.wrong)}), seed {self.seed}:", *self.wrong[:40]])
        return "\n".join(
            [*lines, "0 lost, 0 doubled, read models equal, the audit log verifies, nothing lags"]
        )


def play(
    place: Path, seed: int, faults: Iterable[Fault], plan: Plan, *, seconds: float, mutant: str = ""
) -> Outcome:
    """Strike with `faults` until they or the seconds end; then heal everything and judge."""
    stage = Stage(place, mutant)
    ledger = Ledger(place / "ledger.ndjson")
    try:
        stage.start()
        began = time.monotonic()
        office = Office(stage.apis, ledger)
        with Clerks(office, seed, EVERYTHING) as clerks:
            assert clerks.goes_on(20), "it does not even begin"
            for fault in faults:
                if time.monotonic() - began > seconds:
                    break
                plan.strike(stage, fault)
                stage.wait(plan.dice.uniform(0, 0.5))
            stage.edges.heal()
            stage.wait(1)
            if not clerks.goes_on(20):
                ledger.wonders("I9: hardly anything is answered after the last fault")
        struck = time.monotonic()
        stage.mend()
        stage.all_ready()
        wrong = oracle.verdict(stage, ledger)
        return Outcome(
            seed=seed,
            seconds=struck - began,
            settled=time.monotonic() - struck,
            faults=plan.done,
            asked=len(ledger.asked),
            answered=len(ledger.answered),
            events=len(oracle.read_log(stage)),
            statuses=ledger.statuses,
            cuts=sum(
                edge.cuts[mode] for edge in stage.edges.all for mode in edge.cuts if "commit" in mode.value
            ),
            wrong=wrong,
        )
    finally:
        ledger.close()
        stage.stop()
