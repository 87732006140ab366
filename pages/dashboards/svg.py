"""Dashboards as SVG, with the colours of the other pictures and dark text on a light ground."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from components.monitoring.dashboards.panel import BARS, NUMBER, STACK, Dashboard, Panel

from ..picture.drawing import COLOURS, TEXT

WIDTH, MARGIN, HEAD, ROW = 1280, 10, 46, 30
_HEIGHT, _LOW = 190, 96
_LINES = [border for _, border in COLOURS.values()] + ["#0e7490", "#4d7c0f", "#9333ea", "#b91c1c", "#475569"]
_PALE, _RULE, _WARN = "#ffffff", "#e4e4e7", "#dc2626"
_LEGENDS = 4
_SUFFIX = {
    "percent": " %", "count": "", "seconds": " s", "celsius": " °C", "watt": " W", "megahertz": " MHz", "Bps": " B/s",
    "rate": "/s", "GPU-hours": " GPU h", "dollars": " $", "dollars/h": " $/h",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One series of a panel: its name, and its points as (seconds, value)."""

    name: str
    points: Sequence[tuple[float, float]]

    @property
    def last(self) -> float:
        return self.points[-1][1]


Answers = dict[str, list[Line]]
"""Title of a row and a panel → its series."""


def key(row: str, panel: Panel) -> str:
    """Where the series of a panel are in the answers."""
    return f"{row}/{panel.title}"


def picture(dashboard: Dashboard, answers: Answers, end: int) -> str:
    """The dashboard as a picture. `end`: the moment at the right edge of its charts."""
    span = (end - dashboard.hours * 3600, end)
    parts, top = [_text(MARGIN, 28, dashboard.title, 20, "bold"), _text(MARGIN + 330, 27, dashboard.text, 13)], HEAD
    for row in dashboard.rows:
        parts.append(_text(MARGIN, top + 18, row.title, 14, "bold"))
        top += ROW
        height = _LOW if all(panel.kind == NUMBER for panel in row.panels) else _HEIGHT
        width = (WIDTH - MARGIN) / len(row.panels)
        for index, panel in enumerate(row.panels):
            left = MARGIN + index * width
            parts += _panel(panel, answers[key(row.title, panel)], span, left, top, width - MARGIN, height)
        top += height + MARGIN
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" font-family="sans-serif">\n'
        f'<rect width="{WIDTH}" height="{top}" fill="#f4f4f5"/>\n{body}\n</svg>\n'
    )


def _panel(
    panel: Panel, lines: Sequence[Line], span: tuple[int, int], left: float, top: float, width: float, height: float
) -> Iterator[str]:
    yield f'<rect x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}" rx="3" fill="{_PALE}"/>'
    yield _text(left + 8, top + 17, panel.title, 12, "bold")
    inside = (left + 8, top + 26, width - 16, height - 34)
    if panel.kind == NUMBER:
        yield from _number(panel, lines, *inside)
    elif panel.kind == BARS:
        yield from _bars(panel, lines, *inside)
    else:
        yield from _chart(panel, lines, span, *inside)


def _number(panel: Panel, lines: Sequence[Line], left: float, top: float, width: float, height: float) -> Iterator[str]:
    value = sum(line.last for line in lines)
    colour = _WARN if panel.warn is not None and value > panel.warn else TEXT
    yield _text(left, top + height - 10, shown(value) + _SUFFIX[panel.unit], 28, "bold", colour)


def _bars(panel: Panel, lines: Sequence[Line], left: float, top: float, width: float, height: float) -> Iterator[str]:
    most = max([line.last for line in lines] or [0]) or 1
    for index, line in enumerate(sorted(lines, key=lambda line: -line.last)[:6]):
        y = top + index * 24
        colour = _WARN if panel.warn is not None and line.last > panel.warn else _LINES[index % len(_LINES)]
        length = max(2, width * line.last / most)
        yield f'<rect x="{left:.0f}" y="{y + 12:.0f}" width="{length:.0f}" height="8" fill="{colour}"/>'
        yield _text(left, y + 9, f"{line.name}: {shown(line.last)}{_SUFFIX[panel.unit]}", 11)


def _chart(
    panel: Panel, lines: Sequence[Line], span: tuple[int, int], left: float, top: float, width: float, height: float
) -> Iterator[str]:
    legend = min(len(lines), _LEGENDS) * 13 + (13 if len(lines) > _LEGENDS else 0)
    low, chart = top + height - legend - 4, height - legend - 16
    drawn = (
        _stacked(lines) if panel.kind == STACK else [(line, [(t, 0.0, v) for t, v in line.points]) for line in lines]
    )
    values = [high for _, points in drawn for _, _, high in points]
    most = _nice(max([*values, panel.warn or 0]) or 1)
    first, last = span

    def x(moment: float) -> float:
        return left + 34 + (width - 34) * (moment - first) / (last - first)

    def y(value: float) -> float:
        return low - chart * min(value, most) / most

    for share in (0, 0.5, 1):
        edges = f'x1="{left + 34:.0f}" x2="{left + width:.0f}"'
        yield f'<line {edges} y1="{y(share * most):.0f}" y2="{y(share * most):.0f}" stroke="{_RULE}"/>'
        yield _text(left + 30, y(share * most) + 4, shown(share * most), 9, anchor="end")
    if panel.warn:
        yield (
            f'<line x1="{left + 34:.0f}" x2="{left + width:.0f}" y1="{y(panel.warn):.1f}" y2="{y(panel.warn):.1f}"'
            f' stroke="{_WARN}" stroke-dasharray="4 3"/>'
        )
    for index, (_, points) in enumerate(drawn):
        colour = _LINES[index % len(_LINES)]
        upper = " ".join(f"{x(t):.0f},{y(high):.1f}" for t, _, high in points)
        if panel.kind == STACK:
            lower = " ".join(f"{x(t):.0f},{y(low_):.1f}" for t, low_, _ in reversed(points))
            yield f'<polygon points="{upper} {lower}" fill="{colour}" fill-opacity="0.45"/>'
        yield f'<polyline points="{upper}" fill="none" stroke="{colour}" stroke-width="1.3"/>'
    unit = _SUFFIX[panel.unit]
    for index, line in enumerate(lines[:_LEGENDS]):
        colour, place = _LINES[index % len(_LINES)], f'x="{left:.0f}" y="{low + 8 + index * 13:.0f}"'
        yield f'<rect {place} width="9" height="3" fill="{colour}"/>'
        yield _text(left + 13, low + 13 + index * 13, f"{line.name}  {shown(line.last)}{unit}", 10)
    if len(lines) > _LEGENDS:
        yield _text(left + 13, low + 13 + _LEGENDS * 13, f"and {len(lines) - _LEGENDS} more", 10)


def _stacked(lines: Sequence[Line]) -> list[tuple[Line, list[tuple[float, float, float]]]]:
    """Each series on top of those before it: (seconds, lower edge, upper edge)."""
    below: dict[float, float] = {}
    found = []
    for line in lines:
        points = [(t, below.get(t, 0.0), below.get(t, 0.0) + value) for t, value in line.points]
        below.update({t: high for t, _, high in points})
        found.append((line, points))
    return found


def _nice(value: float) -> float:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value * 0.999)


def shown(value: float) -> str:
    """A number in a few characters."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            scale = limit if letter != "k" else 1e3
            return f"{value / scale:.3g} {letter}"
    return f"{value:.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"


def _text(
    x: float, y: float, text: str, size: int, weight: str = "normal", fill: str = TEXT, anchor: str = "start"
) -> str:
    style = f'font-size="{size}" font-weight="{weight}" fill="{fill}" text-anchor="{anchor}"'
    return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{html.escape(text)}</text>'
