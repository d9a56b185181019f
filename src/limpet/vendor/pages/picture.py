"""The architecture as a drawing: interfaces, the processes that they end in, and their rights.

Owns the layout, and its form as SVG. The layout is made from the design and from the record of
the firmware's processes, so that nobody draws it and it cannot drift. Paper takes the same
shapes (`limpet.vendor.pages._drawing`). Colours are the style sheet's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap

from limpet.product import Direction, Interface, Product
from limpet.wire.rights import ProcessRights, Rights

from .document import Picture

__all__ = ["Box", "Curve", "Frame", "draw_architecture"]

WIDTH = 1120.0
SIDE, ROLE = 176.0, 168.0  # widths of the boxes
_IN, _FRONT, _BEHIND, _CALLERS, _OUT = 0.0, 250.0, 476.0, 702.0, WIDTH - SIDE
_TOP, _GAP, _PAD = 64.0, 14.0, 9.0
_TITLE, _LINE = 16.0, 13.5  # heights of a line of text
_CHARACTERS = 26  # of a line in a box
_MARGIN = 24.0
_SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with a title and lines below it; `kind` is "way", "role" or "keeper"."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    title: str
    lines: tuple[str, ...]


Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """From one box to another, by the four points of a Bézier; `kind` is "way" or "asks"."""

    kind: str
    points: tuple[Point, Point, Point, Point]


@dataclass(frozen=True, slots=True)
class Frame:
    """What belongs together, and its name."""

    x: float
    y: float
    width: float
    height: float
    title: str


def draw_architecture(product: Product, rights: Rights) -> Picture:
    """The device of `product` with the processes of `rights`."""
    inward = [one for one in product.interfaces if one.direction is Direction.IN]
    outward = [one for one in product.interfaces if one.direction is Direction.OUT]
    boxes = {f"#{box.title}": box for box in _column(_IN, map(_way, inward))}
    boxes |= {f"#{box.title}": box for box in _column(_OUT, map(_way, outward))}
    workers = [one for one in rights.processes if one.role != _SUPERVISOR]
    for x, networks in (
        (_FRONT, ("accepts", "link")),
        (_BEHIND, ("none",)),
        (_CALLERS, ("calls",)),
    ):
        members = [one for one in workers if one.network in networks]
        boxes |= {box.title: box for box in _column(x, map(_role, members))}
    bottom = max(box.y + box.height for box in boxes.values())
    frame_end = _CALLERS + ROLE + _MARGIN
    for one in rights.processes:
        if one.role == _SUPERVISOR:
            box = _supervisor(one, bottom + _GAP)
            boxes[one.role] = box
            bottom = box.y + box.height
    frame = Frame(_FRONT - _MARGIN, 10, frame_end - _FRONT + _MARGIN, bottom + 8, "the device")
    curves = (*_ways(inward, outward, boxes, rights), *_asking(boxes, workers))
    height = bottom + _MARGIN + 4
    shapes: tuple[Frame | Curve | Box, ...] = (frame, *curves, *boxes.values())
    words = _in_words(product, rights)
    return Picture(_svg(shapes, height, words), words, shapes, WIDTH, height)


def _column(x: float, contents: "map[tuple[str, float, str, tuple[str, ...]]]") -> list[Box]:
    boxes, y = [], _TOP
    for kind, width, title, lines in contents:
        height = 2 * _PAD + _TITLE + _LINE * len(lines)
        boxes.append(Box(kind, x, y, width, height, title, lines))
        y += height + _GAP
    return boxes


def _way(one: Interface) -> tuple[str, float, str, tuple[str, ...]]:
    protocol = one.protocol.partition(" (")[0]
    port = f"{one.transport.value.upper()} {one.port}" if one.port else "on the case or board"
    return "way", SIDE, one.id, (*wrap(protocol, _CHARACTERS)[:2], port)


def _role(one: ProcessRights) -> tuple[str, float, str, tuple[str, ...]]:
    lines = (*wrap(one.task, _CHARACTERS)[:3], _reach(one))
    return ("keeper" if one.network == "none" else "role"), ROLE, one.role, lines


def _reach(one: ProcessRights) -> str:
    """What the network is to it."""
    if one.network == "accepts":
        return f"accepts TCP {', '.join(map(str, one.listens)) or 'connections'}"
    if one.network == "calls":
        ports = f" {', '.join(map(str, one.connects))}" if one.connects else ""
        return f"calls out: TCP{ports}"
    return "local link only" if one.network == "link" else "no network"


def _supervisor(one: ProcessRights, y: float) -> Box:
    lines = (f"{one.task}; no network, no parsing of what came from it",)
    height = 2 * _PAD + _TITLE + _LINE
    return Box("keeper", _FRONT, y, _CALLERS + ROLE - _FRONT, height, one.role, lines)


def _ways(
    inward: Sequence[Interface],
    outward: Sequence[Interface],
    boxes: Mapping[str, Box],
    rights: Rights,
) -> list[Curve]:
    found = []
    for one in (*inward, *outward):
        way, process = boxes[f"#{one.id}"], boxes.get(rights.handles.get(one.id, ""))
        if process is not None:
            ends = (way, process) if one in inward else (process, way)
            found.append(_curve("way", *ends))
    return found


def _asking(boxes: Mapping[str, Box], workers: Sequence[ProcessRights]) -> list[Curve]:
    """Who may ask whom; everybody's word with the supervisor goes without a line."""
    return [
        _curve("asks", boxes[one.role], boxes[ask.role])
        for one in workers
        for ask in one.asks
        if ask.role in boxes and ask.role != _SUPERVISOR
    ]


def _curve(kind: str, start: Box, end: Box) -> Curve:
    """From the nearer side of one to the nearer side of the other; over what is between them."""
    if start.x == end.x:  # one below the other
        middle, down = start.x + start.width / 2, end.y > start.y
        y1 = start.y + (start.height if down else 0)
        y2 = end.y + (0 if down else end.height)
        return Curve(kind, ((middle, y1), (middle, y1), (middle, y2), (middle, y2)))
    if kind == "asks" and abs(end.x - start.x) > _BEHIND - _FRONT:
        x1, x2 = start.x + start.width / 2, end.x + end.width / 2
        lift = _TOP - 38
        return Curve(kind, ((x1, start.y), (x1 + 90, lift), (x2 - 90, lift), (x2, end.y)))
    y1, y2 = start.y + start.height / 2, end.y + end.height / 2
    x1, x2 = start.x + start.width, end.x
    if end.x < start.x:
        x1, x2 = start.x, end.x + end.width
    bend = (x2 - x1) * 0.5
    return Curve(kind, ((x1, y1), (x1 + bend, y1), (x2 - bend, y2), (x2, y2)))


def _in_words(product: Product, rights: Rights) -> str:
    lines = [f"{product.model.display_name}: {len(rights.processes)} processes."]
    for one in rights.processes:
        ways = [name for name, role in rights.handles.items() if role == one.role]
        asked = [ask.role for ask in one.asks]
        through = f", at {', '.join(ways)}" if ways else ""
        lines.append(f"{one.role} ({_reach(one)}{through}) asks {', '.join(asked) or 'nobody'}.")
    return " ".join(lines)


def _svg(shapes: Sequence[Frame | Curve | Box], height: float, words: str) -> str:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" role="img"'
        f' width="{WIDTH:g}" height="{height:g}"><title>{escape(words)}</title>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
        ' markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" class="tip"/></marker></defs>',
    ]
    for shape in shapes:
        parts.append(_element(shape))
    return "".join([*parts, "</svg>"])


def _element(shape: Frame | Curve | Box) -> str:
    if isinstance(shape, Curve):
        start, one, other, end = (f"{x:g} {y:g}" for x, y in shape.points)
        return (
            f'<path class="curve {shape.kind}" marker-end="url(#tip)"'
            f' d="M{start}C{one} {other} {end}"/>'
        )
    rectangle = f'x="{shape.x:g}" y="{shape.y:g}" width="{shape.width:g}" height="{shape.height:g}"'
    if isinstance(shape, Frame):
        return (
            f'<rect class="frame" rx="14" {rectangle}/><text class="frame-title"'
            f' x="{shape.x + 16:g}" y="{shape.y + 22:g}">{escape(shape.title)}</text>'
        )
    x, y = shape.x + _PAD + 2, shape.y + _PAD + 11
    lines = "".join(
        f'<text class="small" x="{x:g}" y="{y + _TITLE + _LINE * number - 1:g}">'
        f"{escape(line)}</text>"
        for number, line in enumerate(shape.lines)
    )
    return (
        f'<rect class="box {shape.kind}" rx="8" {rectangle}/>'
        f'<text class="title" x="{x:g}" y="{y:g}">{escape(shape.title)}</text>{lines}'
    )
