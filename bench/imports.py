"""Imports through the whole stack, against a plain COPY of the same rows, and what a command costs meanwhile.

`BENCH_CODES` and `BENCH_ROWS` say how many postal codes and organisations, if not 200,000 and 50,000.
"""

import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import psycopg

from bench import companies
from bench.figures import Figure, Sample, figure, sample
from bench.http import served, until
from bench.machine import Machine

PART = "imports"
CODES = int(os.environ.get("BENCH_CODES", "200000"))
ROWS = int(os.environ.get("BENCH_ROWS", "50000"))
PAUSE = 0.02
"""Seconds between the other commands: a person's, not a load."""
API = "/api/v1"


def run(machine: Machine) -> list[Figure]:
    """About five minutes."""
    index, table = dbf(CODES), csv(ROWS)
    found = [
        _copied(machine, "postal_codes", list(_places(CODES))),
        _copied(machine, "organisations", list(_lines(ROWS))),
    ]
    with ExitStack() as stack:
        _, client = stack.enter_context(served(machine))
        stack.enter_context(machine.program("work"))
        jobs = stack.enter_context(machine.program("jobs"))
        until(lambda: client.get("/readyz").status_code == 200)
        until(lambda: _peak(jobs.pid) > 0)
        alone = Others(client)
        alone.until(lambda: time.sleep(5))
        found.append(alone.figure("POST /organisations, nothing else going on"))
        for kind, name, content, rows, base in (
            ("postal-index", "PIndx.dbf", index, CODES, found[0]),
            ("organisations", "register.csv", table, ROWS, found[1]),
        ):
            found += _imported(client, jobs.pid, kind, (name, content), rows, base)
            _settled(client)
    return found


def _settled(client: httpx.Client) -> None:
    """The read models have taken in all of it: what comes next does not pay for it."""
    made = client.post(f"{API}/organisations", json={"full_name": "The last"}).raise_for_status()
    at_least = {"X-Min-Position": made.headers["x-event-position"]}
    for listed in ("addresses", "organisations"):
        until(lambda: client.get(f"{API}/{listed}", headers=at_least).status_code == 200)  # noqa: B023


def _imported(
    client: httpx.Client, pid: int, kind: str, file: tuple[str, bytes], rows: int, base: Figure
) -> Iterator[Figure]:
    before = _peak(pid)
    form = {"data": {"kind": kind, "mode": "both"}, "files": {"file": file}}
    began = time.perf_counter()
    sent = client.post(f"{API}/imports", **form, timeout=300).raise_for_status()  # type: ignore[arg-type]
    path = sent.headers["location"]
    _reached(client, sent, "previewed")
    read = time.perf_counter() - began
    others = Others(client)
    asked = client.post(f"{path}/apply", headers={"Idempotency-Key": path}).raise_for_status()
    began = time.perf_counter()
    others.until(lambda: _reached(client, asked, "applied"))
    applied = time.perf_counter() - began
    memory = f"worker {before / 1024:.0f} MB before, {_peak(pid) / 1024:.0f} MB at most"
    yield figure(PART, f"{kind}: sent and previewed, rows", [Sample(rows, read)], base=base.rate)
    yield figure(PART, f"{kind}: applied, rows", [Sample(rows, applied)], base=base.rate, note=memory)
    yield others.figure(f"POST /organisations, while {kind} is applied")


def _reached(client: httpx.Client, asked: httpx.Response, state: str) -> None:
    path, at_least = asked.headers["location"], {"X-Min-Position": asked.headers["x-event-position"]}
    while (seen := client.get(path, headers=at_least).raise_for_status().json())["state"] != state:
        if seen["state"] in ("failed", "canceled"):
            raise RuntimeError(f"{path}: {seen['problems'][:1]}")
        time.sleep(0.1)


class Others:
    """Another caller's commands, one after the other, with pauses."""

    def __init__(self, client: httpx.Client) -> None:
        self._headers, self._url = client.headers, client.base_url
        self._took: list[float] = []
        self._over = Event()

    def until(self, work: Callable[[], Any]) -> None:
        """For as long as the work takes."""
        asking = Thread(target=self._ask)
        asking.start()
        try:
            work()
        finally:
            self._over.set()
            asking.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=60) as client:
            while not self._over.wait(PAUSE):
                began = time.perf_counter()
                client.post(f"{API}/organisations", json={"full_name": "Meanwhile"}).raise_for_status()
                self._took.append(time.perf_counter() - began)

    def figure(self, what: str) -> Figure:
        return figure(PART, what, [sample(sum(self._took), self._took)])


def _copied(machine: Machine, name: str, rows: list[tuple[str, ...]]) -> Figure:
    """Into a table with a primary key, in a database of its own."""
    with psycopg.connect(machine.database(f"copied_{name}", migrated=False).owner) as connection:
        columns = ", ".join(f"c{at} text" for at in range(len(rows[0])))
        connection.execute(f"create table {name} ({columns}, primary key (c0))".encode())
        began = time.perf_counter()
        with connection.cursor() as cursor, cursor.copy(f"copy {name} from stdin".encode()) as copy:
            for row in rows:
                copy.write_row(row)
        connection.commit()
        return figure(
            PART, f"plain COPY of the same: {name}", [Sample(len(rows), time.perf_counter() - began)]
        )


def _peak(pid: int) -> int:
    """Kilobytes that the process has had in memory at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def _places(count: int) -> Iterator[tuple[str, ...]]:
    return ((str(100_000 + at), "МОСКВА", f"РАЙОН {at % 500}", f"СЕЛО {at % 7_000}") for at in range(count))


def dbf(count: int) -> bytes:
    """The postal index as a dBase III table."""
    fields = ((b"INDEX", 6), (b"REGION", 60), (b"AREA", 60), (b"CITY", 60))
    width = 1 + sum(length for _, length in fields)
    head = struct.pack("<4BLHH17xB2x", 3, 26, 1, 1, count, 33 + 32 * len(fields), width, 0x65)
    described = b"".join(struct.pack("<11sc4xB15x", name, b"C", length) for name, length in fields)
    records = (
        b" "
        + b"".join(cell.encode("cp866").ljust(length) for cell, (_, length) in zip(row, fields, strict=True))
        for row in _places(count)
    )
    return head + described + b"\r" + b"".join(records) + b"\x1a"


def _lines(count: int) -> Iterator[tuple[str, ...]]:
    for number in range(count):
        numbers = companies.identifiers(number)
        yield (f"{numbers.siren}{numbers.nic}", f"SOCIETE GENERALE {number}", "43.32A", "2014-04-29", "75015")


def csv(count: int) -> bytes:
    head = "siret,nom_raison_sociale,activite_principale,date_debut_activite,not_taken\n"
    return (head + "".join(",".join(row) + "\n" for row in _lines(count))).encode()
