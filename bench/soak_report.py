"""What came of a long run: what grew, in a table, and everything over time, in a plot."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from statistics import median

from msgspec import Struct

from bench.plot import Panel, Points, svg
from bench.steady import Window
from bench.watched import Far, Held

WARM = 1 / 3
"""Of the time: caches fill, and PostgreSQL's back-ends see each statement for the first time."""
ALLOWED, ALLOWED_MB = 0.05, 8.0
"""Growth after that which still counts as flat: a part of what it holds, or so much."""


class Look(Struct, frozen=True, kw_only=True):
    """`at`: minutes since the load began."""

    at: float
    held: dict[str, Held]
    far: Far


class Soak(Struct, frozen=True, kw_only=True):
    """`caught_up`: seconds until the last read model was there, once the load had ended."""

    rate: float
    minutes: float
    looks: list[Look]
    windows: list[Window]
    passed: dict[str, int]
    rounds: int
    caught_up: float


def slope(points: Points) -> float:
    """Per unit of x: the median of the slopes between all pairs (Theil and Sen), which single peaks do not move."""
    pairs = [
        (y2 - y1) / (x2 - x1) for i, (x1, y1) in enumerate(points) for x2, y2 in points[i + 1 :] if x2 > x1
    ]
    return median(pairs) if pairs else 0.0


def report(found: Soak, described: str) -> tuple[str, bool]:
    """The page, and whether all of it stayed flat and every request of the load was answered as it should."""
    after = [look for look in found.looks if look.at >= found.minutes * WARM]
    rows = [_row(part, after) for part in found.looks[0].held]
    statuses: Counter[int] = Counter()
    for window in found.windows:
        statuses.update(window.answers)
    flat = all(stays for _, stays in rows)
    wrong = sum(count for status, count in statuses.items() if status not in (200, 201))
    page = PAGE.format(
        minutes=found.minutes,
        rate=found.rate,
        lasted=timedelta(minutes=found.minutes),
        rounds=found.rounds,
        memory="\n".join(row for row, _ in rows),
        figures="\n".join(_figures(found)),
        events=found.looks[-1].far.head,
        caught_up=found.caught_up,
        answers=", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items())),
        passed=", ".join(f"{what}: {count:,}" for what, count in sorted(found.passed.items())),
        verdict="Flat" if flat else "NOT flat",
        wrong=wrong,
        allowed=ALLOWED,
        allowed_mb=ALLOWED_MB,
        described=described,
    )
    return page, flat and not wrong


def _row(part: str, after: Sequence[Look]) -> tuple[str, bool]:
    """One part's line, and whether it stayed flat."""
    own = [(look.at / 60, look.held[part].own) for look in after]
    a_quarter = max(1, len(own) // 4)
    first, last = after[0].held[part], after[-1].held[part]
    level, grows = median(y for _, y in own), slope(own)
    grown = median(y for _, y in own[-a_quarter:]) - median(y for _, y in own[:a_quarter])
    stays = grown <= max(ALLOWED_MB, ALLOWED * level)
    line = (
        f"| {part} | {first.own:,.0f} | {last.own:,.0f} | {last.rss:,.0f} | {grown:+,.1f} | {grows:+,.1f} |"
        f" {first.files} to {last.files} | {last.processes} | {'flat' if stays else 'GROWS'} |"
    )
    return line, stays


def _figures(found: Soak) -> Iterator[str]:
    """Median and most of what is no memory."""
    far, windows = [look.far for look in found.looks], found.windows
    for what, values, form in (
        ("events behind, the slowest read model", [each.lag for each in far], ",.0f"),
        ("seconds behind", [each.seconds for each in far], ".2f"),
        ("connections to PostgreSQL", [each.connections for each in far], ",.0f"),
        ("p50 of a request, ms", [each.p50 * 1e3 for each in windows], ".1f"),
        ("p99 of a request, ms", [each.p99 * 1e3 for each in windows], ".1f"),
    ):
        yield f"| {what} | {median(values):{form}} | {max(values):{form}} |"


PAGE = """# A long run at half load

`python -m bench soak --minutes {minutes:g}`

![Memory, lag and latency over time](soak.svg)

{rate:,.0f} requests a second for {lasted}: half of the commands that it took just before with its read models
following. Of ten requests six add a company, three read one, one asks for a page of the list. Beside them people come
and go ({rounds:,} rounds): they sign in and out, search, upload, export, listen and leave, and err.

Memory is what a part has for itself (`Pss_Anon`), in MB, from the end of the first third on; what it has grown is the
last quarter of that against the first, and the slope is the median of the slopes between all pairs of looks.

| part | MB then | MB at the end | RSS | MB grown | MB/hour | open files | processes | verdict |
|---|---:|---:|---:|---:|---:|---:|---:|---|
{memory}

| | median | most |
|---|---:|---:|
{figures}

Events at the end: {events:,}. After the load all read models had caught up in {caught_up:.1f} s.
Answers, by status: {answers}.
Of those who come and go: {passed}.

**{verdict}**: that is, whether no part has grown by more than {allowed:.0%} or {allowed_mb:g} MB.
Of the steady load's requests {wrong:,} were answered otherwise than 200 or 201.

```
{described}
```
"""


def drawn(found: Soak) -> str:
    looks, every = found.looks, found.minutes / max(1, len(found.windows))
    parts = list(looks[0].held)
    return svg(
        [
            Panel(
                "memory of its own, MB",
                {part: [(look.at, look.held[part].own) for look in looks] for part in parts},
            ),
            Panel(
                "RSS (shared pages count in each process), MB",
                {part: [(look.at, look.held[part].rss) for look in looks] for part in parts},
            ),
            Panel(
                "behind the log, events", {"slowest read model": [(look.at, look.far.lag) for look in looks]}
            ),
            Panel(
                "behind the log, seconds",
                {"slowest read model": [(look.at, look.far.seconds) for look in looks]},
            ),
            Panel(
                "latency, ms",
                {
                    "p50": [(number * every, each.p50 * 1e3) for number, each in enumerate(found.windows)],
                    "p99": [(number * every, each.p99 * 1e3) for number, each in enumerate(found.windows)],
                },
            ),
            Panel(
                "connections to PostgreSQL",
                {
                    "all": [(look.at, look.far.connections) for look in looks],
                    "busy": [(look.at, look.far.busy) for look in looks],
                },
            ),
            Panel(
                "open files", {part: [(look.at, look.held[part].files) for look in looks] for part in parts}
            ),
        ],
        "minutes",
    )
