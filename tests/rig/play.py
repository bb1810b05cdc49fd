"""One run: work, faults, and what is left of the promises afterwards."""

import time
from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from tests.rig import oracle
from tests.rig.driver import Clerks, Ledger, Office
from tests.rig.edge import Mode
from tests.rig.faults import Fault, Plan
from tests.rig.oracle import Verdict
from tests.rig.readers import Readers
from tests.rig.stage import Stage
from tests.rig.work import EVERYTHING


class Outcome(Struct, frozen=True, kw_only=True):
    """`settled`: seconds from the last fault to the verdict. `noticed` of `tried`: what faults were for came about."""

    plan: Plan
    seconds: float
    settled: float
    asked: int
    acknowledged: int
    read: int
    statuses: Counter[object]
    cuts: Counter[Mode]
    noticed: Counter[str]
    tried: Counter[str]
    verdict: Verdict

    def told(self) -> str:
        found, faults = self.verdict, self.plan.done
        cut = ", ".join(f"{mode.value} {count}" for mode, count in self.cuts.most_common())
        lines = [
            f"seed {self.plan.seed}, judged in {self.settled:.0f} s",
            f"{self.asked} asked, {self.read} times read, {found.events} events, {found.mails} mails",
            f"{found.given_up} operations were given up, for all to see",
            "faults: " + ", ".join(f"{name} {count}" for name, count in sorted(faults.items())),
            *(f"left out: {fault.__name__}: {why}" for fault, why in self.plan.without.items()),
            *(f"{what}: {self.noticed[what]} of {count}" for what, count in sorted(self.tried.items())),
            f"connections cut, by what the edge did: {cut}",
            "answers: " + ", ".join(f"{status} {count}" for status, count in self.statuses.most_common()),
        ]
        lines.append(
            f"{faults.total()} faults in {self.seconds:.0f} s: {self.acknowledged} acknowledged,"
            f" {found.lost} lost, {found.doubled} doubled, read models {'equal' if found.equal else 'DIFFERENT'},"
            f" audit {found.audited}/{found.events}"
        )
        if found.wrong:
            lines += [f"BROKEN ({len(found.wrong)}), seed {self.plan.seed}:", *found.wrong[:40]]
        return "\n".join(lines)


def play(stage: Stage, faults: Iterable[Fault], plan: Plan, *, seconds: float, pace: float = 1) -> Outcome:
    """Strike with `faults` until they or the seconds end; then heal everything and judge. `pace`: of the pauses.

    The stage has not started, and has stopped when this returns.
    """
    ledger = Ledger(stage.place / "ledger.ndjson", stage.answers)
    try:
        stage.start()
        office = Office(stage.apis, ledger)
        readers = Readers(stage, office, plan.seed)
        with readers.reading():
            with Clerks(office, plan.seed, EVERYTHING) as clerks:
                assert clerks.goes_on(20), "it does not even begin"
                began = time.monotonic()
                for fault in faults:
                    if time.monotonic() - began > seconds:
                        break
                    plan.strike(stage, fault)
                    stage.wait(plan.dice.uniform(0, 0.5) * pace)
                stage.edges.heal()
                stage.wait(1)
                if not clerks.goes_on(20):
                    ledger.wonders("I9: hardly anything is answered after the last fault")
            struck = time.monotonic()
        stage.mend()
        stage.all_ready()
        verdict = oracle.verdict(stage, ledger, list(readers.checkpoints))
        return Outcome(
            plan=plan,
            seconds=struck - began,
            settled=time.monotonic() - struck,
            asked=len(ledger.asked),
            acknowledged=len(ledger.answered),
            read=readers.read,
            statuses=ledger.statuses,
            cuts=sum((edge.cuts for edge in stage.edges.all), Counter[Mode]()),
            noticed=stage.noticed,
            tried=stage.tried,
            verdict=verdict,
        )
    finally:
        ledger.close()
        stage.stop()
