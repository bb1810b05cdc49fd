"""Mails through two `jobs` processes into a local SMTP server, against the SMTP client alone.

`BENCH_MAILS` says how many, if not 2,000.
"""

import asyncio
import os
import socket
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import uuid4

import psycopg
from aiosmtplib import SMTP
from msgspec import structs

from bench.figures import Figure, Sample, figure, sample
from bench.http import served, until
from bench.machine import Machine, Meter
from infrastructure.core import clock
from infrastructure.embedded.children import Child
from infrastructure.mail.writing import Mail, written

PART = "mail"
MAILS = int(os.environ.get("BENCH_MAILS", "2000"))
SINGLE = 40
AT_ONCE = 8
"""Connections of the client alone: as many threads as a `jobs` process has."""


def run(machine: Machine) -> list[Figure]:
    """About a minute."""
    with ExitStack() as stack:
        port, sink = stack.enter_context(_sink(machine))
        machine.settings = structs.replace(
            machine.settings, smtp_url=f"smtp://127.0.0.1:{port}?starttls=never", mail_from="o@example.org"
        )
        alone = asyncio.run(_alone(port))
        stack.enter_context(served(machine))
        stack.enter_context(machine.program("work"))
        jobs = [stack.enter_context(machine.program("jobs", port=each)) for each in (1, 2)]
        owner = stack.enter_context(psycopg.connect(machine.main.owner, autocommit=True))
        queue = Queue(owner)
        queue.ask(AT_ONCE)  # everybody is awake
        until(queue.empty)
        one_by_one = queue.single()
        meter = Meter(
            jobs=jobs[0].pid, other=jobs[1].pid, PostgreSQL=machine.postgres.child.pid, sink=sink.pid
        )
        began = time.perf_counter()
        queue.ask(MAILS)
        while not queue.empty():
            time.sleep(0.02)
        seconds, spent = time.perf_counter() - began, meter.spent()
    spent["jobs"] += spent.pop("other")
    del spent["here"]
    return [
        alone,
        figure(PART, "two jobs processes", [Sample(MAILS, seconds, cost=spent)], base=alone.rate),
        figure(PART, "one mail on an idle queue, queued to taken", [one_by_one]),
    ]


class Queue:
    """What is asked for here is as a reaction asks: a row. All of it is for the administrator."""

    def __init__(self, owner: psycopg.Connection[Any]) -> None:
        self._owner = owner

    def ask(self, count: int) -> None:
        self._owner.execute(
            "insert into operations (id, kind, about) select gen_random_uuid(), 'mail.send', jsonb_build_object("
            "'user_id', user_id, 'notice', 'account', 'what', 'password_changed', 'version', 1)"
            " from principals, generate_series(1, %s)",
            (count,),
        )

    def empty(self) -> bool:
        left = self._owner.execute(
            "select count(*), count(*) filter (where state = 'failed') from operations"
            " where kind = 'mail.send' and state <> 'done'"
        ).fetchone()
        assert left is not None
        if left[1]:
            raise RuntimeError(f"{left[1]} mails were given up")
        return not left[0]

    def single(self) -> Sample:
        """Each asked for when the one before was taken."""
        took: list[float] = []
        for _ in range(SINGLE):
            began = time.perf_counter()
            self.ask(1)
            until(self.empty)
            took.append(time.perf_counter() - began)
        return sample(sum(took), took)


@contextmanager
def _sink(machine: Machine) -> Generator[tuple[int, Child]]:
    """Takes every mail and keeps none."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    listen = ["-n", "-c", "aiosmtpd.handlers.Sink", "-l", f"127.0.0.1:{port}"]
    with machine.beside("sink", [sys.executable, "-m", "aiosmtpd", *listen]) as child:
        until(lambda: _greets(port))
        yield port, child


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False


async def _alone(port: int) -> Figure:
    """The same mails, a connection each, by the client library and nothing else."""
    mail = Mail(id=uuid4(), to="admin@example.org", subject="Your password was changed", text="So.\n" * 5)
    waiting = iter(range(MAILS))

    async def send() -> None:
        for _ in waiting:
            ready = written(mail, "o@example.org", clock())
            async with SMTP(
                hostname="127.0.0.1", port=port, start_tls=False, local_hostname="here"
            ) as client:
                await client.sendmail(ready.sender, [ready.recipient], ready.content)

    began = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(AT_ONCE)))
    seconds = time.perf_counter() - began
    return figure(PART, f"the SMTP client alone, {AT_ONCE} connections", [Sample(MAILS, seconds)])
