"""Where each microsecond of a command goes: samples of the whole path in this process, without HTTP, at 64 callers.

And where one caller waits who is alone: the spans of his commands.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

import msgspec
import uvloop
from rich.console import Console
from rich.table import Table

from api.app import serving
from application import spans
from application.spans import Span
from bench import markdown
from bench.companies import body, companies
from bench.machine import Machine, cpu
from infrastructure.first_start import start
from infrastructure.logging import configure
from infrastructure.migrations import apply

CALLERS = 64
SECONDS = 8.0
ALONE = 500
STATIONS = (
    "POST /api/v1/organisations",
    "authenticate",
    "decode",
    "load",
    "authorise",
    "decide",
    "append",
    "seal",
    "append batch",
)
EVERY = 0.001
"""Seconds of processor time between two samples."""
PROJECT = Path(__file__).parent.parent
OUR_OWN = ("api", "application", "domain", "infrastructure", "projections")
PACKAGES = ("asyncio", "json", "logging", "concurrent")
Ask = Callable[[], Awaitable[int]]


def run(machine: Machine) -> None:
    """Prints a table of its own."""
    apply(machine.settings)
    asyncio.run(start(machine.settings))
    with Path("/dev/null").open("w") as nowhere, redirect_stderr(nowhere):
        configure(machine.settings, "bench")  # a line for each request is part of the cost
        uvloop.run(_run(machine))


async def _run(machine: Machine) -> None:
    async with serving(machine.settings) as edge:
        told = machine.settings
        login = msgspec.json.encode({"login": told.admin_email, "password": told.admin_password})
        _, answer = await _request(edge, "/api/v1/auth/login", login, [])
        token = msgspec.json.decode(answer)["access_token"]
        bodies = (body(each.identifiers) for each in companies())
        headers = [(b"authorization", f"Bearer {token}".encode())]

        async def once() -> int:
            status, answer = await _request(edge, "/api/v1/organisations", next(bodies), headers)
            if status != 201:
                raise RuntimeError(answer)
            return status

        await _loop(once, 1.0)
        samples: Counter[tuple[str, str]] = Counter()
        spent, database = time.process_time(), cpu(machine.postgres.child.pid)
        with _sampled(samples):
            done = await _loop(once, SECONDS)
        spent, database = time.process_time() - spent, cpu(machine.postgres.child.pid) - database
        stations = await _stations(once)
    _show(samples, spent / done * 1e6, database / done * 1e6)
    print("\n" + stations)


async def _stations(once: Ask) -> str:
    """What each station of a command takes by the clock; its parts stand below it, and are in it."""
    found: list[Span] = []
    before = spans.collect(found.append)
    try:
        for _ in range(ALONE):
            await once()
    finally:
        spans.collect(*before)
    took: dict[str, list[int]] = {}
    for span in found:
        took.setdefault(span.name, []).append(span.ended - span.began)
    rows = [(name, median(took[name]) / 1e3, max(took[name]) / 1e3) for name in STATIONS if name in took]
    return markdown.table((f"one caller alone, {ALONE} commands", "µs, median", "µs, most"), rows)


async def _loop(once: Ask, seconds: float) -> int:
    end, done = time.perf_counter() + seconds, 0

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await once()
            done += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(caller())
    return done


async def _request(app: Any, path: str, body: bytes, headers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:
    """What a server hands over and takes back."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            *headers,
            (b"host", b"127.0.0.1"),
            (b"user-agent", b"bench"),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    found: dict[str, Any] = {}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        found.update(message)

    await asyncio.create_task(app(scope, receive, send))
    return found["status"], found["body"]


@contextmanager
def _sampled(samples: Counter[tuple[str, str]]) -> Generator[None]:
    """Counts (part, function) of what runs, once for every so many seconds of processor time."""

    def sample(_: int, frame: FrameType | None) -> None:
        if frame is not None:
            code = frame.f_code
            samples[_part(code.co_filename), f"{Path(code.co_filename).stem}.{code.co_name}"] += 1

    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _part(file: str) -> str:
    """A library by its name, our own by its file."""
    path = Path(file)
    if "site-packages" in path.parts:
        return path.parts[path.parts.index("site-packages") + 1]
    if path.is_relative_to(PROJECT) and path.relative_to(PROJECT).parts[0] in OUR_OWN:
        return str(path.relative_to(PROJECT))
    if path.is_relative_to(PROJECT):
        return "bench"
    return f"Python's {path.parent.name if path.parent.name in PACKAGES else path.stem}"


def _show(samples: Counter[tuple[str, str]], each: float, database: float) -> None:
    total = sum(samples.values())
    parts: Counter[str] = Counter()
    functions: dict[str, Counter[str]] = {}
    for (part, function), seen in samples.items():
        parts[part] += seen
        functions.setdefault(part, Counter())[function] += seen
    table = Table(title="One POST /organisations, in processor microseconds")
    table.add_column("part")
    table.add_column("us", justify="right")
    table.add_column("most of it in")
    for part, seen in parts.most_common():
        if seen / total > 0.004:
            most = ", ".join(f"{name} {n / total * each:.1f}" for name, n in functions[part].most_common(4))
            table.add_row(part, f"{seen / total * each:.1f}", most)
    table.add_section()
    table.add_row("this process", f"{each:.1f}", f"{total} samples")
    table.add_row("PostgreSQL", f"{database:.1f}", "")
    console = Console()
    console.width = max(console.width, 150)
    console.print(table)
