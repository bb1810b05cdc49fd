"""What a measurement is, how repeated ones become one figure, and the table they are shown in."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class Sample(NamedTuple):
    """One run: how many were done, in how many seconds, and how long single ones took, in seconds.

    `cost`: who spent how many seconds of processor time on all of it.
    """

    done: int
    seconds: float
    p50: float | None = None
    p99: float | None = None
    cost: Mapping[str, float] = {}

    @property
    def rate(self) -> float:
        return self.done / self.seconds


class Figure(NamedTuple):
    """One line of the table: the median of several samples.

    `ratio` compares its rate with that of `base`; `cost` is in microseconds of processor time for each one done.
    """

    part: str
    what: str
    rate: float
    spread: tuple[float, float]
    p50: float | None = None
    p99: float | None = None
    ratio: float | None = None
    cost: Mapping[str, float] = {}
    note: str = ""


def sample(seconds: float, latencies: list[float]) -> Sample:
    ordered = sorted(latencies)
    return Sample(len(ordered), seconds, quantile(ordered, 0.5), quantile(ordered, 0.99))


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def quantile(ordered: Sequence[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def figure(
    part: str, what: str, samples: Sequence[Sample], *, base: float | None = None, note: str = ""
) -> Figure:
    """`base`: the rate this one is shown as a multiple of."""
    rates = [each.rate for each in samples]
    rate = median(rates)
    return Figure(
        part=part,
        what=what,
        rate=rate,
        spread=(min(rates), max(rates)),
        p50=_middle([each.p50 for each in samples]),
        p99=_middle([each.p99 for each in samples]),
        ratio=rate / base if base else None,
        cost={who: median(each.cost[who] / each.done * 1e6 for each in samples) for who in samples[0].cost},
        note=note,
    )


async def closed_loop(callers: int, seconds: float, once: Callable[[], Awaitable[object]]) -> Sample:
    """So many callers, each asking again as soon as it was answered; p99 is therefore a lower bound."""
    latencies: list[float] = []
    began = time.perf_counter()
    end = began + seconds

    async def caller() -> None:
        asked = time.perf_counter()
        while asked < end:
            await once()
            answered = time.perf_counter()
            latencies.append(answered - asked)
            asked = answered

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return sample(time.perf_counter() - began, latencies)


def show(figures: Sequence[Figure], machine: str, noise: str) -> None:
    table = Table(title="Chancery, measured", caption=f"{machine}\n{noise}", caption_justify="left")
    table.add_column("part")
    table.add_column("what")
    for name in ("per second", "from-to", "p50 ms", "p99 ms", "ratio"):
        table.add_column(name, justify="right")
    table.add_column("us of processor each")
    table.add_column("note")
    part = ""
    for each in figures:
        if part not in ("", each.part):
            table.add_section()
        low, high = each.spread
        table.add_row(
            each.part if each.part != part else "",
            each.what,
            f"{each.rate:,.0f}",
            f"{low:,.0f}-{high:,.0f}",
            _milliseconds(each.p50),
            _milliseconds(each.p99),
            "" if each.ratio is None else f"{each.ratio:.1f}x",
            ", ".join(f"{who} {spent:.0f}" for who, spent in each.cost.items()),
            each.note,
        )
        part = each.part
    console = Console()
    console.width = max(console.width, 180)
    console.print(table)


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.2f}"
