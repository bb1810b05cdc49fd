"""`python -m tests.rig.recovery`: each part is killed in turn under a light load, and how long until all is well again.

There is one of each part, so that nobody takes over; whoever watches over it starts it again at once, as systemd or
`chancery up` does. Seconds are counted from the kill.
"""

import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from msgspec import Struct

from infrastructure.embedded.children import wait_until
from tests import servers
from tests.rig.driver import AGAIN, Ledger, Office
from tests.rig.stage import Process, Stage

PATIENCE = 120.0
PACE = 0.05
"""Seconds between two commands of the one who asks."""
LOOK, QUIET = 0.05, 3.0
"""Seconds between two looks, and for which all must have been well."""


class Recovery(Struct, frozen=True, kw_only=True):
    """Seconds until a command sent after the kill was answered; until every read model had it and `/readyz` complained
    of nothing; until an export asked for then was made.
    """

    answered: float
    ready: float
    job: float


class Load:
    """One who asks all the time. `first_after` is the position of the first command sent after an instant."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self._answers: list[tuple[float, float, int]] = []
        self._thread = threading.Thread(target=self._ask, daemon=True)

    @contextmanager
    def asking(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self.office.over.set()
            self._thread.join(30)

    def first_after(self, instant: float) -> tuple[float, int] | None:
        """When it was answered, and where it is."""
        found = (each for each in list(self._answers) if each[0] > instant)
        return next(((answered, position) for _, answered, position in found), None)

    def insist(self, client: httpx.Client, path: str, body: dict[str, object]) -> dict[str, object]:
        """Again and again until it is answered."""
        key = f"{time.monotonic_ns()}"
        while not self.office.over.is_set():
            try:
                answer = client.post(
                    self.office.urls[0] + path,
                    json=body,
                    headers={
                        "Authorization": f"Bearer {self.office.token(client)}",
                        "Idempotency-Key": key,
                    },
                )
            except httpx.TransportError:
                self.office.over.wait(PACE)
                continue
            if answer.is_success:
                said: dict[str, object] = answer.json()
                return said
            assert answer.status_code == 503, answer.text
            self.office.over.wait(AGAIN)
        return {"position": 0}

    def _ask(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self.office.over.is_set():
                sent = time.monotonic()
                said = self.insist(client, "/organisations", {"full_name": f"{sent}"})
                self._answers.append((sent, time.monotonic(), int(str(said["position"]))))
                self.office.over.wait(PACE)


def recovery(stage: Stage, load: Load, blow: Callable[[], None]) -> Recovery:
    """It is well from when it stays well on: what is dead may look alive for a moment."""
    began = time.monotonic()
    blow()
    assert wait_until(lambda: load.first_after(began) is not None, PATIENCE)
    answered, position = load.first_after(began) or (0.0, 0)
    ready = job = 0.0
    with httpx.Client(timeout=10) as client:
        export = str(load.insist(client, "/exports", {"list": "organisations", "format": "csv"})["id"])
        while not (ready and job and time.monotonic() - ready > QUIET):
            assert time.monotonic() - began < PATIENCE, "it does not recover"
            if not well(stage, client, position):
                ready = 0.0
            elif not ready:
                ready = time.monotonic()
            if not job and made(stage, export):
                job = time.monotonic()
            load.office.over.wait(LOOK)
    return Recovery(answered=answered - began, ready=ready - began, job=job - began)


def well(stage: Stage, client: httpx.Client, position: int) -> bool:
    try:
        answer = client.get(f"http://127.0.0.1:{stage.apis[0].port}/readyz")
    except httpx.TransportError:
        return False
    with stage.superuser() as database:
        row = database.execute("select min(position) from projections where place = 'read'").fetchone()
    assert row is not None
    return all(part["ok"] for part in answer.json()["parts"]) and row[0] >= position


def made(stage: Stage, export: str) -> bool:
    with stage.superuser() as database:
        found = database.execute(
            "select from stored_events where originator_id = %s and topic = 'export.completed.v1'", [export]
        )
        return found.rowcount == 1


def blows(stage: Stage) -> Iterator[tuple[str, Callable[[], None]]]:
    def killed(process: Process) -> Callable[[], None]:
        def blow() -> None:
            process.kill()
            process.start()

        return blow

    for name, process in stage.processes.items():
        yield name.partition("-")[0], killed(process)

    def kill_postgres() -> None:
        stage.crash_postgres(signal.SIGKILL)
        stage.postgres.start()

    def kill_redis() -> None:
        stage.kill_redis()
        stage.redis.start()

    def kill_s3() -> None:
        stage.s3.kill()
        stage.s3.start()

    yield "postgres", kill_postgres
    yield "nats", stage.nats.restart
    yield "nats, its files gone", stage.nats.wipe
    yield "redis", kill_redis
    yield "redis, flushed", stage.flush_redis
    yield "s3", kill_s3


def main() -> int:
    folder = servers.run_folder()
    stage = Stage(folder / "rig", processes=("serve-1", "work-1", "jobs-1"))
    try:
        stage.start()
        ledger = Ledger(stage.place / "ledger.ndjson")
        load = Load(Office(stage.apis, ledger))
        sys.stdout.write(
            "| killed | commands answered, s | read models and readyz, s | a job done, s |\n|---|---:|---:|---:|\n"
        )
        with load.asking():
            assert wait_until(lambda: load.first_after(0) is not None, PATIENCE)
            for name, blow in blows(stage):
                found = recovery(stage, load, blow)
                sys.stdout.write(f"| {name} | {found.answered:.1f} | {found.ready:.1f} | {found.job:.1f} |\n")
                sys.stdout.flush()
        ledger.close()
    finally:
        stage.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
