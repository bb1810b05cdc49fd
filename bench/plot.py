"""Lines in an SVG (1.1): panels one above the other over the same axis, as plain text that a diff can show."""

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from math import floor, log10
from typing import NamedTuple

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 880, 190
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 30, 26
"""Around the field of a panel: its scale, its legend, its title, the scale of x."""
COLOURS = ("#0b6e99", "#d1495b", "#2e933c", "#7d53de", "#b8860b", "#444444", "#e36414", "#119da4", "#9a348e")


class Panel(NamedTuple):
    """`lines` by what they are called in the legend; y begins with zero unless they go below it."""

    title: str
    lines: Mapping[str, Points]


def svg(panels: Sequence[Panel], x_title: str) -> str:
    """The whole drawing. Panels without a single point are left out."""
    panels = [panel for panel in panels if any(panel.lines.values())]
    values = [x for panel in panels for points in panel.lines.values() for x, _ in points]
    across = _Scale(min(values, default=0), max(values, default=1), LEFT, WIDTH - RIGHT)
    height = len(panels) * HEIGHT + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"',
        'font-family="sans-serif" font-size="11" fill="#222222">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, across, number * HEIGHT)
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, height - 6, x_title, "middle"))
    return "\n".join([*parts, "</svg>", ""])


class _Scale:
    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = low, high if high > low else low + 1
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return self._start + part * (self._end - self._start)

    def marks(self) -> list[float]:
        """About five round numbers."""
        raw = (self.high - self.low) / 5
        size = 10 ** floor(log10(raw))
        step = next(size * each for each in (1, 2, 5, 10) if size * each >= raw)
        first = -(-self.low // step)
        return [
            (first + number) * step
            for number in range(8)
            if (first + number) * step <= self.high + step / 1e6
        ]


def _panel(panel: Panel, across: _Scale, at: float) -> list[str]:
    top, bottom = at + TOP, at + HEIGHT - BOTTOM
    heights = [y for points in panel.lines.values() for _, y in points]
    up = _Scale(min(0, *heights), max(heights) * 1.05 or 1, bottom, top)
    parts = [_text(LEFT, at + 18, panel.title, "start", bold=True)]
    for mark in up.marks():
        parts.append(_line([(LEFT, up(mark)), (WIDTH - RIGHT, up(mark))], "#dddddd", 0.7))
        parts.append(_text(LEFT - 6, up(mark) + 4, _said(mark), "end"))
    for mark in across.marks():
        parts.append(_line([(across(mark), bottom), (across(mark), bottom + 4)], "#888888", 0.7))
        parts.append(_text(across(mark), bottom + 15, _said(mark), "middle"))
    for number, (name, points) in enumerate(panel.lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        parts.append(_line([(across(x), up(y)) for x, y in points], colour, 1.3))
        y = top + 8 + number * 15
        parts.append(_line([(WIDTH - RIGHT + 12, y), (WIDTH - RIGHT + 30, y)], colour, 2.5))
        parts.append(_text(WIDTH - RIGHT + 36, y + 4, name, "start"))
    return parts


def _line(points: Points, colour: str, width: float) -> str:
    """Points that fall onto one another are drawn once."""
    drawn = [f"{x:.1f},{y:.1f}" for x, y in points]
    kept = drawn[:1] + [each for before, each in pairwise(drawn) if each != before]
    return f'<polyline points="{" ".join(kept)}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, said: str, anchor: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}>{escape(said)}</text>'


def _said(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.3g}"
