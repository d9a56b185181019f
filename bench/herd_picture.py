"""The picture of a fleet's return: checks a minute over time, one panel for each outage (SVG).

Owns the drawing. The scale of rates is logarithmic: a herd is some hundred times the steady rate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Curve", "Panel", "draw_picture"]

WIDTH, HEIGHT = 980, 330
LEFT, TOP, BOTTOM, GAP = 62, 52, 62, 22
DECADES = (1, 10, 100, 1000, 10_000)
AFTER_HOURS = 30.0
STYLES = {
    "limpet": 'stroke="#0b6e4f" stroke-width="1.6"',
    "fixed retry": 'stroke="#c2571a" stroke-width="1"',
}
MINUTES_PER_HOUR = 60


@dataclass(frozen=True, slots=True)
class Curve:
    """Checks in each minute, from an hour before the outage."""

    name: str
    minutes: Sequence[int]


@dataclass(frozen=True, slots=True)
class Panel:
    """One outage of so many `hours`; `steady` checks a minute on any other day."""

    title: str
    hours: float
    steady: float
    curves: Sequence[Curve]


def draw_picture(panels: Sequence[Panel], devices: int) -> str:
    """The SVG document."""
    width = (WIDTH - LEFT - GAP * len(panels)) / len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="12" fill="#222">',
        f"<title>Update checks a minute of {devices} devices, whose server was away</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{LEFT}" y="20" font-size="14">Update checks a minute, {devices:,} devices:'
        " the server is away (grey), then back</text>",
    ]
    for decade in DECADES:
        parts.append(
            f'<text x="{LEFT - 8}" y="{_y(decade) + 4:.1f}" text-anchor="end">{decade:,}</text>'
        )
    for number, panel in enumerate(panels):
        parts += _panel(panel, LEFT + number * (width + GAP), width)
    x = LEFT
    for name, style in STYLES.items():
        words = {"limpet": "limpet", "fixed retry": "every 6 h, retry every minute"}[name]
        y = HEIGHT - 12
        parts.append(f'<path d="M{x} {y - 4}h26" fill="none" {style}/>')
        parts.append(f'<text x="{x + 32}" y="{y}">{words}</text>')
        x += 120
    parts.append(f'<path d="M{x + 130} {HEIGHT - 16}h26" {_DASHED}/>')
    parts.append(f'<text x="{x + 162}" y="{HEIGHT - 12}">any other day</text>')
    return "\n".join([*parts, "</svg>", ""])


_DASHED = 'fill="none" stroke="#555" stroke-dasharray="4 3"'


def _y(rate: float) -> float:
    top, low = math.log10(DECADES[-1]) + 0.1, -0.2
    share = (math.log10(max(rate, 10**low)) - low) / (top - low)
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def _panel(panel: Panel, left: float, width: float) -> list[str]:
    hours = 1 + panel.hours + AFTER_HOURS
    scale = width / hours
    floor = HEIGHT - BOTTOM
    begin, end = left + scale, left + scale * (1 + panel.hours)
    parts = [
        f'<rect x="{begin:.1f}" y="{TOP}" width="{max(end - begin, 1):.1f}" height="{floor - TOP}"'
        ' fill="#e6e6e6"/>',
        _middle(left + width / 2, TOP - 10, panel.title),
        f'<path d="M{left:.1f} {TOP}V{floor}H{left + width:.1f}" fill="none" stroke="#999"/>',
        f'<path d="M{left:.1f} {_y(panel.steady):.1f}h{width:.1f}" {_DASHED}/>',
    ]
    for hour in range(0, int(AFTER_HOURS), 12):
        words = f"+{hour} h" if hour else "back"
        parts.append(_middle(end + hour * scale, floor + 16, words))
    for curve in panel.curves:
        step = 1 if curve.name == "fixed retry" else 10
        points = []
        for minute in range(0, int(hours * MINUTES_PER_HOUR) - step, step):
            rate = sum(curve.minutes[minute : minute + step]) / step
            x = left + minute / MINUTES_PER_HOUR * scale
            points.append(f"{x:.0f},{_y(rate):.0f}")
        parts.append(
            f'<polyline points="{" ".join(_thinned(points))}" fill="none" {STYLES[curve.name]}/>'
        )
    return parts


def _middle(x: float, y: float, words: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{words}</text>'


def _thinned(points: Sequence[str]) -> list[str]:
    """Without a point that repeats the one before."""
    return [one for place, one in enumerate(points) if place == 0 or one != points[place - 1]]
