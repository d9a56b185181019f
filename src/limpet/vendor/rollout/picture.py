"""A forecast as a picture: one bad and one good release over time, as SVG.

Owns the drawing. Pure; the text holds no script, no font and no address, so that it can stand in
a document as it is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .simulation import Course, Run

__all__ = ["draw_forecast"]

WIDTH, HEIGHT = 860, 640
_LEFT, _RIGHT, _PANEL = 76, 24, 210
_TOPS = (64, 368)
_HOUR, _DAY_HOURS = 3600.0, 24.0
_BLUE, _ORANGE, _GREY, _RED = "#0072b2", "#d55e00", "#767676", "#a40000"
_STYLE = (
    "text{font-family:sans-serif;font-size:13px;fill:#222}.t{font-size:15px;font-weight:bold}"
    ".a{fill:#555}.g{stroke:#ddd;stroke-width:1}.l{fill:none;stroke-width:2}"
)


@dataclass(frozen=True, slots=True)
class _Line:
    course: Course
    label: str
    colour: str
    steps: bool = False  # the value holds until the next point
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class _Panel:
    top: int
    title: str
    unit: str
    lines: Sequence[_Line]
    hours: float  # of the horizontal axis
    highest: float
    mark: float | None = None  # hours at which a vertical line stands
    mark_text: str = ""


def draw_forecast(bad: Run, good: Run, *, devices: int, bad_rate: float, good_rate: float) -> str:
    """The picture of two runs in a fleet of `devices`."""
    panels = (_bad(bad, bad_rate), _good(good, good_rate, devices))
    title = f"Two releases in a fleet of {devices:,} devices"
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(_LEFT, 24, title, "t"),
        *(part for panel in panels for part in _draw(panel)),
        "</svg>\n",
    ]
    return "\n".join(body)


def _bad(run: Run, rate: float) -> _Panel:
    stopped = run.halted_after
    end = max(run.last_activation, stopped or 0.0, _HOUR) / _HOUR * 1.15
    text = f"halted after {stopped / _HOUR:.1f} h" if stopped is not None else ""
    outcome = text or (f"held: {run.held}" if run.held else "never stopped")
    return _Panel(
        top=_TOPS[0],
        title=f"A release that fails on {rate:.3g} of all devices: {run.took:,} took it, "
        f"{run.broken:,} broke, {outcome}".replace(f"{rate:.3g} of", f"{rate:.2%} of"),
        unit="devices",
        lines=(
            _Line(run.taken, "took it", _BLUE),
            _Line(run.failures, "broken", _ORANGE, steps=True),
        ),
        hours=end,
        highest=max(run.took, 4),
        mark=stopped / _HOUR if stopped is not None else None,
        mark_text=text,
    )


def _good(run: Run, rate: float, devices: int) -> _Panel:
    done = run.completed_after
    end = (done or run.halted_after or run.last_activation or _HOUR) / _HOUR
    outcome = f"complete after {end / _DAY_HOURS:.1f} days" if done is not None else "stopped"
    return _Panel(
        top=_TOPS[1],
        title=f"A release that fails on {rate:.2%} of all devices: {outcome}",
        unit="% of the fleet",
        lines=(
            _Line(run.admitted, "admitted by the plan", _GREY, steps=True, scale=1e-4),
            _Line(run.taken, "took it", _BLUE, scale=100 / devices),
        ),
        hours=end * 1.03,
        highest=100,
    )


def _draw(panel: _Panel) -> list[str]:
    bottom, right = panel.top + _PANEL, WIDTH - _RIGHT
    parts = [_text(_LEFT, panel.top - 14, panel.title, "t")]
    for value in _ticks(panel.highest):
        y = _y(panel, value)
        parts.append(f'<line class="g" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{value:,.10g}", "a", anchor="end"))
    for value in _ticks(panel.hours):
        x = _x(panel, value)
        parts.append(f'<line class="g" x1="{x:.1f}" x2="{x:.1f}" y1="{panel.top}" y2="{bottom}"/>')
        parts.append(_text(x, bottom + 18, f"{value:,.10g}", "a", anchor="middle"))
    parts.append(_text((_LEFT + right) / 2, bottom + 36, "hours from the start", "a", "middle"))
    middle = panel.top + _PANEL / 2
    parts.append(
        f'<text class="a" text-anchor="middle" transform="translate(18 {middle:.0f}) rotate(-90)">'
        f"{escape(panel.unit)}</text>"
    )
    if panel.mark is not None:
        x = _x(panel, panel.mark)
        parts.append(
            f'<line stroke="{_RED}" stroke-dasharray="5 4" x1="{x:.1f}" x2="{x:.1f}" '
            f'y1="{panel.top}" y2="{bottom}"/>'
        )
        parts.append(_text(x - 6, panel.top + 14, panel.mark_text, "", anchor="end", fill=_RED))
    for number, line in enumerate(panel.lines):
        parts.append(_polyline(panel, line))
        y = panel.top + 36 + 20 * number
        parts.append(
            f'<line stroke="{line.colour}" stroke-width="3" x1="{_LEFT + 12}" '
            f'x2="{_LEFT + 36}" y1="{y}" y2="{y}"/>'
        )
        parts.append(_text(_LEFT + 44, y + 4, line.label, ""))
    return parts


def _polyline(panel: _Panel, line: _Line) -> str:
    """The line, which goes on level to the panel's end."""
    points: list[tuple[float, float]] = []
    for seconds, number in line.course.points:
        value = number * line.scale
        if line.steps and points:
            points.append((seconds / _HOUR, points[-1][1]))
        points.append((seconds / _HOUR, value))
    points.append((panel.hours, points[-1][1]))
    drawn = " ".join(f"{_x(panel, hours):.1f},{_y(panel, value):.1f}" for hours, value in points)
    return f'<polyline class="l" stroke="{line.colour}" points="{drawn}"/>'


def _x(panel: _Panel, hours: float) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(hours / panel.hours, 1.0)


def _y(panel: _Panel, value: float) -> float:
    return panel.top + _PANEL * (1 - value / (panel.highest * 1.05))


def _ticks(highest: float) -> list[float]:
    """Round values from 0 to `highest`, five to ten of them."""
    step = 10.0 ** math.floor(math.log10(highest))
    while highest / step < 4:
        step /= 2 if f"{step:e}"[0] != "5" else 2.5
    return [number * step for number in range(int(highest / step) + 1)]


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start", fill: str = "") -> str:
    style = f' style="fill:{fill}"' if fill else ""
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>'
        f"{escape(text)}</text>"
    )
