"""How the demo tells: numbered steps, what each shows, and the two ways it asks, over HTTP and by `chancery`."""

import subprocess
import sys
from collections.abc import Callable
from threading import Lock
from time import monotonic, sleep
from typing import Any, TypeVar

import httpx
from rich.console import Console
from rich.rule import Rule
from rich.table import Table

from cli.running import Stack

API = "/api/v1"
WIDE = 120
"""Columns where nobody has a terminal."""
PATIENCE = 30.0
"""Seconds a 503 is asked again, as its Retry-After says."""
SOON = 20.0
"""Seconds that what happens by itself may take."""
LOOK = 0.01
"""Seconds between two looks at it."""
T = TypeVar("T")


class Broken(Exception):
    """The story did not go as told."""


def wide_console() -> Console:
    """As wide as the terminal, or wide enough."""
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)


class Story:
    """One telling. `position` is that of the newest event it has caused."""

    def __init__(self, client: httpx.Client, stack: Stack, console: Console) -> None:
        self.client, self.stack, self.console = client, stack, console
        self.position = 0
        self._seen = Lock()
        self._number = 0
        self._figures: list[tuple[str, str]] = []

    def step(self, title: str) -> None:
        self._number += 1
        self.console.print(Rule(f"[bold]{self._number}. {title}", align="left", style="dim"))

    def shows(self, text: str) -> None:
        self.console.print(f"   {text}", markup=False)

    def holds(self, truth: object, sentence: str) -> None:
        """Show the sentence if it is true. Raises Broken."""
        if not truth:
            raise Broken(f"not so: {sentence}")
        self.shows(sentence)

    def figure(self, what: str, value: str) -> None:
        """For the table at the end."""
        self._figures.append((what, value))

    def figures(self) -> None:
        table = Table(
            title="What it took here, the asking included", title_justify="left", show_header=False, box=None
        )
        for row in self._figures:
            table.add_row(*row)
        self.console.print(table)

    def call(self, method: str, path: str, expected: int, **more: Any) -> httpx.Response:
        """A call of the API. A 503 is asked again as it says. Raises Broken when the answer is another."""
        return self.expect(lambda: self.client.request(method, API + path, **more), expected)

    def expect(self, ask: Callable[[], httpx.Response], expected: int) -> httpx.Response:
        deadline = monotonic() + PATIENCE
        while (answer := ask()).status_code == 503 and expected != 503 and monotonic() < deadline:
            sleep(float(answer.headers["Retry-After"]))
        if answer.status_code != expected:
            asked = f"{answer.request.method} {answer.request.url.path}"
            raise Broken(f"{asked}: {answer.status_code} instead of {expected}: {answer.text[:500]}")
        with self._seen:
            self.position = max(self.position, int(answer.headers.get("x-event-position", 0)))
        return answer

    def read(self, path: str, **parameters: Any) -> Any:
        """A read that has seen everything this story has written."""
        headers = {"X-Min-Position": str(self.position)}
        return self.call("GET", path, 200, params=parameters, headers=headers).json()

    def soon(self, look: Callable[[], T | None], what: str, within: float = SOON) -> T:
        """What happens by itself, in seconds: the first thing seen. Raises Broken when it never is."""
        deadline = monotonic() + within
        while (seen := look()) is None:
            if monotonic() > deadline:
                raise Broken(f"within {within:.0f} s not so: {what}")
            sleep(LOOK)
        return seen

    def tool(self, *words: str, expected: int = 0, **environ: str) -> list[str]:
        """Another `chancery` command, run as a person would; its lines. Raises Broken."""
        done = subprocess.run(  # noqa: S603 (our own command)
            [sys.executable, "-m", "cli.main", *words],
            env={**self.stack.environ, **environ},
            cwd=self.stack.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != expected:
            raise Broken(f"chancery {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return [line.strip() for line in done.stdout.splitlines() if line.strip()]
