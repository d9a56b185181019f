"""Labels as pictures: one SVG per device, or a PDF with a page per device.

Owns the drawing of `limpet.product.Label` at 62 mm x 29 mm. Both forms come
from one layout, so they cannot differ. It keeps nothing: the claim code goes
from the device through here onto paper, and must never be logged or stored.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.sax.saxutils import escape

import segno
from fpdf import FPDF

from limpet.errors import Misuse, Rejected
from limpet.product import Label

__all__ = [
    "HEIGHT_MM",
    "MAX_LABELS",
    "MIN_MODULE_MM",
    "MIN_TEXT_PT",
    "WIDTH_MM",
    "render_pdf",
    "render_svg",
]

WIDTH_MM = 62.0
HEIGHT_MM = 29.0
MIN_MODULE_MM = 0.4
"""Least side of one square of the QR code: what a phone's camera reads reliably."""
MIN_TEXT_PT = 6.0
"""Least size of any text (draft-moore, 5.3, asks for legible print)."""
MAX_LABELS = 1000
"""Pages of one PDF."""

_PT = 25.4 / 72
_MODULE_MM = 0.45
_QUIET_MODULES = 4  # ISO/IEC 18004: four modules of white around the symbol
_MARGIN_MM = 1.0
_FONT_SPREAD = 1.2
"""How much wider than Helvetica the font may be that a viewer of the SVG takes in its place
(DejaVu Sans: 1.17), since not every viewer heeds textLength."""
_LEADING = 1.15
_CODE_GROUPS_PER_LINE = 4
_BREAKS = re.compile(r"(?<=[ @/])")  # where a text that is too long may be broken
_SANS, _MONO = "Helvetica", "Courier"
_SVG_FAMILIES = {
    _SANS: "Helvetica, Arial, Liberation Sans, sans-serif",
    _MONO: "Courier, Courier New, Liberation Mono, monospace",
}
_NO_DATE = datetime(2000, 1, 1, tzinfo=UTC)  # the same label always gives the same bytes


@dataclass(frozen=True, slots=True)
class _Font:
    family: str
    bold: bool
    points: float


@dataclass(frozen=True, slots=True)
class _Text:
    """A line of text: left end and base line in mm from the label's upper left corner."""

    words: str
    x: float
    y: float
    width: float
    font: _Font


@dataclass(frozen=True, slots=True)
class _Bar:
    """A black run of the QR code, in mm."""

    x: float
    y: float
    width: float
    height: float


def render_svg(label: Label) -> bytes:
    """The label as an SVG 1.1 document in UTF-8.

    Raises `Rejected("label")` where its text does not fit at `MIN_TEXT_PT`, or its
    QR code at `MIN_MODULE_MM`.
    """
    bars, texts = _lay_out(label)
    path = "".join(
        f"M{bar.x:.3f} {bar.y:.3f}h{bar.width:.3f}v{bar.height:.3f}h-{bar.width:.3f}z"
        for bar in bars
    )
    lines = "".join(
        f'<text x="{text.x:.3f}" y="{text.y:.3f}" font-family="{_SVG_FAMILIES[text.font.family]}"'
        f' font-weight="{"bold" if text.font.bold else "normal"}"'
        f' font-size="{text.font.points * _PT:.3f}" textLength="{text.width:.3f}"'
        f' lengthAdjust="spacingAndGlyphs">{escape(text.words)}</text>\n'
        for text in texts
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" version="1.1" width="{WIDTH_MM}mm"'
        f' height="{HEIGHT_MM}mm" viewBox="0 0 {WIDTH_MM} {HEIGHT_MM}">\n'
        f'<rect width="{WIDTH_MM}" height="{HEIGHT_MM}" fill="#fff"/>\n'
        f'<path d="{path}" fill="#000" shape-rendering="crispEdges"/>\n'
        f"{lines}</svg>\n"
    ).encode()


def render_pdf(labels: Sequence[Label]) -> bytes:
    """A PDF with one label a page, each page of the label's size.

    Raises `Misuse` for no label or more than `MAX_LABELS`, and `Rejected("label")`
    as `render_svg` does.
    """
    if not 0 < len(labels) <= MAX_LABELS:
        raise Misuse(f"a PDF holds 1 to {MAX_LABELS} labels, not {len(labels)}")
    pdf = _canvas()
    pdf.set_title("Device labels")
    pdf.set_creation_date(_NO_DATE)
    for label in labels:
        bars, texts = _lay_out(label)
        pdf.add_page()
        for bar in bars:
            pdf.rect(bar.x, bar.y, bar.width, bar.height, style="F")
        for text in texts:
            _use(pdf, text.font)
            pdf.text(text.x, text.y, text.words)
    return bytes(pdf.output())


def _lay_out(label: Label) -> tuple[tuple[_Bar, ...], tuple[_Text, ...]]:
    symbol = segno.make_qr(label.uri(), error="m", mode="byte", boost_error=False)
    modules = symbol.symbol_size(border=0)[0]
    module = min(_MODULE_MM, HEIGHT_MM / (modules + 2 * _QUIET_MODULES))
    if module < MIN_MODULE_MM:
        raise _does_not_fit("its QR code would be too fine to scan")
    quiet = _QUIET_MODULES * module
    top = (HEIGHT_MM - modules * module) / 2
    left = max(_MARGIN_MM, quiet)
    bars = tuple(
        _Bar(left + column * module, top + row * module, length * module, module)
        for row, line in enumerate(symbol.matrix)
        for column, length in _runs(line)
    )
    return bars, _texts(label, left + modules * module + quiet)


def _runs(line: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The black runs of one row of modules: first column, and length."""
    start = None
    for column, module in enumerate((*line, 0)):
        if module and start is None:
            start = column
        elif not module and start is not None:
            yield start, column - start
            start = None


def _texts(label: Label, left: float) -> tuple[_Text, ...]:
    room = (WIDTH_MM - _MARGIN_MM - left) / _FONT_SPREAD
    metrics = _canvas()
    for largest in (8.0, MIN_TEXT_PT):
        lines = [
            line
            for words, font in _wording(label, largest)
            for line in _fit(metrics, words, font, room)
        ]
        height = sum(font.points * _LEADING * _PT for _, font in lines)
        if height <= HEIGHT_MM - 2 * _MARGIN_MM:
            break
    else:
        raise _does_not_fit("its text is too long")
    y = (HEIGHT_MM - height) / 2
    texts = []
    for words, font in lines:
        texts.append(_Text(words, left, y + font.points * _PT, _width(metrics, words, font), font))
        y += font.points * _LEADING * _PT
    return tuple(texts)


def _wording(label: Label, largest: float) -> tuple[tuple[str, _Font], ...]:
    """What the label says, in order, no letter larger than `largest` points."""
    groups = label.claim_code.split("-")
    code_lines = [
        "-".join(groups[at : at + _CODE_GROUPS_PER_LINE])
        for at in range(0, len(groups), _CODE_GROUPS_PER_LINE)
    ]
    plain = _Font(_SANS, False, min(largest, 7.0))
    small = _Font(_SANS, False, MIN_TEXT_PT)
    return (
        (label.maker, _Font(_SANS, True, largest)),
        (f"Model: {label.model}", plain),
        (f"Hardware revision: {label.hardware_revision}", plain),
        (f"Serial number: {label.serial}", plain),
        (f"Security: {label.support_contact}", small),
        ("Claim code:", small),
        *((line, _Font(_MONO, True, largest)) for line in code_lines),
    )


def _fit(metrics: FPDF, words: str, font: _Font, room: float) -> Iterator[tuple[str, _Font]]:
    """`words` on one line as large as goes, or broken into lines at the least size."""
    width = _width(metrics, words, font)
    points = font.points if width <= room else int(font.points * room / width * 10) / 10
    if points >= MIN_TEXT_PT:
        yield words, _Font(font.family, font.bold, points)
        return
    least = _Font(font.family, font.bold, MIN_TEXT_PT)
    line = ""
    for piece in _BREAKS.split(words):
        if _width(metrics, (line + piece).rstrip(), least) > room:
            if line.strip():
                yield line.rstrip(), least
            line = ""
        for letter in piece:
            if _width(metrics, (line + letter).rstrip(), least) > room:
                yield line.rstrip(), least  # a piece wider than the label
                line = ""
            line += letter
    yield line.rstrip(), least


def _width(metrics: FPDF, words: str, font: _Font) -> float:
    try:
        words.encode("latin-1")
    except UnicodeEncodeError as error:
        raise Rejected(
            "label",
            "a label prints Latin-1 only, and its text has other characters",
            hint="give maker and model in Latin letters for the label",
        ) from error
    _use(metrics, font)
    return float(metrics.get_string_width(words))


def _canvas() -> FPDF:
    pdf = FPDF(unit="mm", format=(HEIGHT_MM, WIDTH_MM), orientation="landscape")
    pdf.set_auto_page_break(False)
    pdf.set_margin(0)
    return pdf


def _use(pdf: FPDF, font: _Font) -> None:
    pdf.set_font(font.family, style="B" if font.bold else "", size=font.points)


def _does_not_fit(why: str) -> Rejected:
    return Rejected("label", f"the label does not fit on {WIDTH_MM:g} x {HEIGHT_MM:g} mm: {why}")
