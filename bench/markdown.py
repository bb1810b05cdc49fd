"""Tables as pages have them, to be pasted."""

from collections.abc import Sequence

from bench.figures import Figure

Cell = str | int | float | None
NUMBERS = "---:"


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """The first column is words, the others are figures."""
    lines = [head, ["---", *[NUMBERS] * (len(head) - 1)], *([_said(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def of(figures: Sequence[Figure]) -> str:
    """As `make bench` shows them, without the spread."""
    rows = [
        (
            each.what,
            "" if each.ratio is None else f"{each.ratio:.2f}x",
            each.rate,
            _milliseconds(each.p50),
            _milliseconds(each.p99),
            ", ".join(f"{who} {spent:,.0f}" for who, spent in each.cost.items()),
        )
        for each in figures
    ]
    return table(("what", "ratio", "per second", "p50 ms", "p99 ms", "µs of processor each"), rows)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def _said(cell: Cell) -> str:
    """Three digits are enough of a figure; small ones have as many places."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    if cell == int(cell) or abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.1f}" if abs(cell) >= 10 else f"{cell:.2f}"
