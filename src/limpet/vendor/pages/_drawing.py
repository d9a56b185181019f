"""The architecture on paper: pages of its own across the sheet, so that its letters can be read.

Owns the scale, and what stands on which page of a drawing that is too high for one. No letter is
below 7 points, and no box smaller than its letters need.
"""

from collections.abc import Sequence
from itertools import pairwise

from ._sheet import ACCENT, FILLS, INK, MARGIN, RULE, SOFT, Sheet, Style
from .document import Picture
from .picture import Box, Curve, Frame

__all__ = ["draw_picture"]

_TITLE, _NAME, _LETTERS = Style(8.5, "B"), Style(8), Style(7)
_LEAST = 0.215
"""mm for a unit of the drawing: a box is as wide as its longest line then."""
_GAP = 10.0  # units above the first box of a further page


def draw_picture(paper: Sheet, block: Picture) -> None:
    """Put the drawing on pages of its own; what follows it begins on another one."""
    paper.add_page(orientation="landscape")
    room = paper.bottom - MARGIN
    fitting = min((paper.w - 2 * MARGIN) / block.width, room / block.height)
    scale = max(fitting, _LEAST)
    boxes = [shape for shape in block.shapes if isinstance(shape, Box)]
    begins = _begins(boxes, room / scale)
    for begin, end in pairwise((*begins, max(block.height, begins[-1]))):
        if begin:
            paper.add_page(orientation="landscape")
        own = [box for box in boxes if begin <= box.y < end]
        _put_page(paper, block, own, begin, end, scale)
    paper.set_xy(MARGIN, paper.bottom)


def _begins(boxes: Sequence[Box], room: float) -> tuple[float, ...]:
    """Where each page begins, in units of the drawing: every box is whole on one of them."""
    begins = [0.0]
    while cut := [box.y for box in boxes if box.y + box.height > begins[-1] + room]:
        begins.append(min(cut) - _GAP)
    return tuple(begins)


def _put_page(
    paper: Sheet, block: Picture, boxes: Sequence[Box], begin: float, end: float, scale: float
) -> None:
    """The part of the drawing from `begin` to `end`, and its boxes whole."""
    top = MARGIN - begin * scale
    with paper.rect_clip(MARGIN - 1, MARGIN, paper.w, (end - begin) * scale):
        for shape in block.shapes:
            if isinstance(shape, Frame):
                _put_frame(paper, shape, top, scale)
            elif isinstance(shape, Curve):
                _put_curve(paper, shape, top, scale)
    for box in boxes:
        _put_box(paper, box, MARGIN + box.x * scale, top + box.y * scale, scale)


def _put_curve(paper: Sheet, shape: Curve, top: float, scale: float) -> None:
    paper.set_draw_color(*(ACCENT if shape.kind == "asks" else SOFT))
    paper.set_line_width(0.3)
    points = [(MARGIN + x * scale, top + y * scale) for x, y in shape.points]
    paper.bezier(points)
    paper.set_fill_color(*SOFT)
    paper.circle(*points[-1], 0.7, style="F")


def _put_frame(paper: Sheet, shape: Frame, top: float, scale: float) -> None:
    x, y = MARGIN + shape.x * scale, top + shape.y * scale
    paper.set_draw_color(*ACCENT)
    paper.set_dash_pattern(dash=1, gap=1)
    paper.rect(x, y, shape.width * scale, shape.height * scale)
    paper.set_dash_pattern()
    if top == MARGIN:  # its beginning is on this page
        paper.write_at(x + 3, y + 5, shape.title, _NAME, ACCENT)


def _put_box(paper: Sheet, box: Box, x: float, y: float, scale: float) -> None:
    paper.set_draw_color(*RULE)
    paper.set_line_width(0.3)
    paper.set_fill_color(*FILLS[box.kind])
    paper.rect(x, y, box.width * scale, box.height * scale, style="DF")
    paper.write_at(x + 2.1, y + 20 * scale, box.title, _TITLE, INK)
    for number, line in enumerate(box.lines, start=1):
        paper.write_at(x + 2.1, y + (21 + 13.5 * number) * scale, line, _LETTERS, SOFT)
