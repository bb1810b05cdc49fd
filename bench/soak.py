"""`python -m bench soak --minutes M`: a whole Chancery at half of what it can, for long; what it holds and how far it
is, every few seconds, as a plot and a table. Flat is what does not grow with time once its caches are full."""

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
import psycopg
from rich.console import Console

from bench import load, watched
from bench.http import Asking, served, until
from bench.machine import Load, Machine, machine
from bench.passers import Passers
from bench.soak_report import Look, Soak, drawn, report
from bench.steady import Plan, Window

EVERY = 5.0
"""Seconds between two looks."""
SHARE = 0.5
"""Of what it could do just before, the read models following."""
TRIED_SECONDS = 10.0
PATIENCE = 120.0


def main(words: Sequence[str]) -> int:
    """0 when everything stayed flat and every request of the load was answered as it should."""
    parser = argparse.ArgumentParser("bench soak")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument(
        "--out", type=Path, default=Path("docs"), help="where soak.svg and soak.md are written"
    )
    asked = parser.parse_args(words)
    with Load() as others, machine() as servers:
        found = soak(servers, asked.minutes)
        described = servers.describe()
    noise = f"other processes took {others.others:.2f} cores meanwhile"
    page, flat = report(found, f"{described}\n{noise}")
    (asked.out / "soak.svg").write_text(drawn(found))
    (asked.out / "soak.md").write_text(page)
    Console().print(page, markup=False, highlight=False)
    return 0 if flat else 1


def soak(machine: Machine, minutes: float) -> Soak:
    settings = machine.settings
    with ExitStack() as stack:
        serve, client = stack.enter_context(served(machine))
        pids = {"serve": serve.pid}
        for name in ("work", "jobs"):
            pids[name] = stack.enter_context(machine.program(name)).pid
        pids |= machine.pids()
        until(lambda: client.get("/readyz").status_code == 200)
        admin = stack.enter_context(psycopg.connect(machine.main.admin, autocommit=True))
        plan = msgspec.structs.replace(Asking(machine, client).command(), seconds=TRIED_SECONDS)
        tried = load.measure(plan)
        rate = SHARE * tried.answers / (tried.seconds + _caught_up(admin))
        people = Passers(settings.base_url, settings.admin_email, settings.admin_password)
        steady = Plan(
            port=settings.port,
            login=settings.admin_email,
            password=settings.admin_password,
            rate=rate,
            seconds=minutes * 60,
            start=20_000_000,
        )
        windows: list[Window] = []
        driver = subprocess.Popen(
            [sys.executable, "-m", "bench.steady"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert driver.stdin is not None
            driver.stdin.write(msgspec.json.encode(steady))
            driver.stdin.close()
            heard = threading.Thread(target=_hear, args=(driver, windows), daemon=True)
            heard.start()
            people.start()
            looks = _watch(pids, admin, driver)
            heard.join()
            if driver.wait():
                raise RuntimeError("the load ended before its time")
        finally:
            driver.kill()
            driver.wait()
            people.stop()
        return Soak(
            rate=rate,
            minutes=minutes,
            looks=looks,
            windows=windows,
            passed=dict(people.answers),
            rounds=people.rounds,
            caught_up=_caught_up(admin),
        )


def _hear(driver: "subprocess.Popen[bytes]", windows: list[Window]) -> None:
    assert driver.stdout is not None
    windows.extend(msgspec.json.decode(line, type=Window) for line in driver.stdout)


def _watch(pids: dict[str, int], admin: psycopg.Connection, driver: "subprocess.Popen[bytes]") -> list[Look]:
    looks: list[Look] = []
    began = time.monotonic()
    while driver.poll() is None:
        at = (time.monotonic() - began) / 60
        looks.append(Look(at=at, held=watched.held(pids), far=watched.far(admin)))
        left = began + len(looks) * EVERY - time.monotonic()
        try:
            driver.wait(max(0.05, left))
        except subprocess.TimeoutExpired:
            continue
    return looks


def _caught_up(admin: psycopg.Connection) -> float:
    """Seconds until every read model is as far as the log."""
    began = time.monotonic()
    while watched.far(admin).lag:
        if time.monotonic() - began > PATIENCE:
            raise TimeoutError("the read models did not catch up")
        time.sleep(0.05)
    return time.monotonic() - began
