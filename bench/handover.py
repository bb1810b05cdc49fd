"""`python -m bench handover`: how long a role stands empty when its holder is told to end, and when it is killed."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median

import psycopg

from bench.figures import quantile
from bench.machine import Machine
from bench.markdown import table
from infrastructure.embedded.children import Child, wait_until
from infrastructure.embedded.postgres import APP
from infrastructure.migrations import migrate
from infrastructure.settings import environment
from projections.projection import discover

TURNS = 5
PATIENCE = 120.0
_HELD = """select classid::int8 * 4294967296 + objid::int8, pid from pg_locks
  where locktype = 'advisory' and granted and objsubid = 2"""
"""Roles are advisory locks with two keys."""
_STANDING_BY = """select count(distinct application_name) from pg_stat_activity
  where pid <> all(%s) and query like 'select pg_try_advisory_lock%%'"""

Roles = dict[int, int]
"""By role, the connection that holds it."""


def run(machine: Machine) -> None:
    """Prints the table."""
    migrate(machine.main.owner, APP)
    rows = []
    with ExitStack() as children, psycopg.connect(machine.main.admin, autocommit=True) as admin:
        workers = Workers(machine, admin, children)
        for what, how in (("SIGTERM", signal.SIGTERM), ("SIGKILL", signal.SIGKILL)):
            turns = [workers.turn(how) for _ in range(TURNS)]
            gaps = sorted(gap for each, _ in turns for gap in each)
            ended = [seconds for _, seconds in turns]
            seconds = (median(gaps), quantile(gaps, 0.99), gaps[-1], median(ended))
            rows.append([what, *(each * 1000 for each in seconds)])
    print(
        table(
            ("its holder gets", "stands empty, ms: median", "99 of 100", "longest", "process ended, ms"), rows
        )
    )
    print(f"\n{TURNS} turns each, every role of `work` at once, nobody writes meanwhile")


class Workers:
    """One that holds every role, and from turn to turn another that stands by."""

    def __init__(self, machine: Machine, admin: psycopg.Connection, children: ExitStack) -> None:
        self._machine, self._admin, self._children = machine, admin, children
        self._number = 0
        self._holder = self._started()
        _until(lambda: len(self._held()) > len(discover()) and self._settled())

    def turn(self, how: signal.Signals) -> tuple[list[float], float]:
        """Seconds that each role stood empty, and until the process had ended."""
        before, successor = self._held(), self._started()
        _until(lambda: self._standing_by(list(before.values())) == len(before))
        asked = time.monotonic()
        os.kill(self._holder.pid, how)
        gaps: dict[int, float] = {}
        ended = 0.0
        while len(gaps) < len(before) or not ended:
            now, since = self._held(), time.monotonic() - asked
            gaps |= {
                role: since for role in before.keys() - gaps if now.get(role, before[role]) != before[role]
            }
            ended = ended or (since if self._holder.died() else 0.0)
            if since > PATIENCE:
                raise RuntimeError(f"{len(before) - len(gaps)} roles were not taken over")
        self._holder = successor
        return list(gaps.values()), ended

    def _started(self) -> Child:
        self._number += 1
        command = [sys.executable, "-m", "cli.main", "work"]
        label = f"work-{self._number}"
        return self._children.enter_context(
            self._machine.beside(label, command, environment(self._machine.settings))
        )

    def _held(self) -> Roles:
        return dict(self._admin.execute(_HELD).fetchall())

    def _settled(self) -> bool:
        """Whether one second brought no other role."""
        held = self._held()
        time.sleep(1)
        return self._held() == held

    def _standing_by(self, holders: list[int]) -> int:
        row = self._admin.execute(_STANDING_BY, (holders,)).fetchone()
        assert row is not None
        return int(row[0])


def _until(condition: Callable[[], bool]) -> None:
    if not wait_until(condition, PATIENCE):
        raise RuntimeError("work did not take its roles")
