"""Labels for a printer: as a bitmap, or many on one sheet with marks to cut along.

Owns the sheet's arithmetic and the composing. Draws no label: what is on a label comes from the
PDF that `limpet.vendor.factory.label` made, so that every form of it is the same drawing.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import pypdfium2
from fpdf import FPDF

from limpet.errors import Rejected, naming
from limpet.product import Label
from limpet.storage import read_bounded
from limpet.vendor.factory.label import HEIGHT_MM, MAX_LABELS, WIDTH_MM, render_pdf

__all__ = ["LEAST_DPI", "PAPERS", "Paper", "compose_sheets", "load_labels", "render_png"]

LEAST_DPI = 203
"""Of a thermal label printer: 3.6 dots for one module of the QR code."""
MOST_DPI = 1200

_POINTS_PER_MM = 72 / 25.4
_MARK_MM = 3.0
_PDF_BYTES = 4 << 20
_NO_DATE = datetime(2000, 1, 1, tzinfo=UTC)  # the same labels always give the same sheet
_ONE_AT_A_TIME = Lock()  # PDFium is not made for threads, and ends the process


@dataclass(frozen=True, slots=True)
class Paper:
    """A sheet, and how labels lie on it: in columns and rows of their own size, centred.

    All in mm. Raises `Rejected("paper")` where not even one label fits.
    """

    width: float
    height: float
    margin: float = 8.0  # what office printers leave white
    gap: float = 2.0

    def __post_init__(self) -> None:
        if min(self.margin, self.gap) < 0 or not (self.columns and self.rows):
            raise Rejected(
                "paper",
                f"no label of {WIDTH_MM:g} x {HEIGHT_MM:g} mm fits on"
                f" {self.width:g} x {self.height:g} mm with these margins",
                hint="choose a smaller --margin",
            )

    @property
    def columns(self) -> int:
        """Labels side by side."""
        return self._fitting(self.width, WIDTH_MM)

    @property
    def rows(self) -> int:
        """Labels below each other."""
        return self._fitting(self.height, HEIGHT_MM)

    def places(self) -> Iterator[tuple[float, float]]:
        """The upper left corner of each label, row by row."""
        left = self._first(self.width, self.columns, WIDTH_MM)
        top = self._first(self.height, self.rows, HEIGHT_MM)
        for row in range(self.rows):
            for column in range(self.columns):
                yield left + column * (WIDTH_MM + self.gap), top + row * (HEIGHT_MM + self.gap)

    def _fitting(self, room: float, side: float) -> int:
        return max(0, int((room - 2 * self.margin + self.gap) // (side + self.gap)))

    def _first(self, room: float, count: int, side: float) -> float:
        return (room - count * side - (count - 1) * self.gap) / 2


PAPERS = {"a4": (210.0, 297.0), "letter": (215.9, 279.4)}
"""Width and height (ISO 216; ANSI/ASME Y14.1)."""


def render_png(label: Label, *, dpi: int = 300) -> bytes:
    """The label as a PNG with its resolution in it. Raises `Rejected("label" | "resolution")`.

    May be called by several threads: a station makes devices beside each other.
    """
    if not LEAST_DPI <= dpi <= MOST_DPI:
        raise Rejected("resolution", f"{dpi} dpi: a label needs {LEAST_DPI} to {MOST_DPI}")
    with _ONE_AT_A_TIME:
        return _draw_png(label, dpi)  # what it holds of PDFium's ends with it


def _draw_png(label: Label, dpi: int) -> bytes:
    with pypdfium2.PdfDocument(render_pdf([label])) as document:
        picture = document[0].render(scale=dpi / 72, grayscale=True).to_pil()
    out = io.BytesIO()
    picture.save(out, "png", dpi=(dpi, dpi), optimize=True)
    return out.getvalue()


def load_labels(directory: Path) -> tuple[bytes, ...]:
    """The labels (PDF) that the station left in `directory`, by serial number.

    Raises `Rejected("label")` for none or too many, or for what is no label of one page.
    """
    files = sorted(directory.glob("*.pdf"))
    if not 0 < len(files) <= MAX_LABELS:
        raise Rejected(
            "label",
            f"{directory} holds {len(files)} labels, a sheet is made of 1 to {MAX_LABELS}",
            hint="name the directory `labels` that `limpet factory make --out` filled",
        )
    found = []
    for file in files:
        data = read_bounded(file, max_bytes=_PDF_BYTES)
        with naming(file):
            _verify_label(data)
        found.append(data)
    return tuple(found)


def compose_sheets(labels: Sequence[bytes], paper: Paper) -> bytes:
    """A PDF with all `labels` in their true size and marks between them, on as many sheets as
    they need."""
    each = paper.columns * paper.rows
    sheets = [labels[at : at + each] for at in range(0, len(labels), each)]
    with pypdfium2.PdfDocument(_marks(paper, [len(sheet) for sheet in sheets])) as document:
        for page, sheet in zip(document, sheets, strict=True):
            for label, place in zip(sheet, paper.places(), strict=False):
                _put(document, page, label, place, paper)
            page.gen_content()
        out = io.BytesIO()
        document.save(out)
    return out.getvalue()


def _verify_label(data: bytes) -> None:
    try:
        with pypdfium2.PdfDocument(data) as document:
            size = document.get_page_size(0) if len(document) == 1 else (0.0, 0.0)
    except pypdfium2.PdfiumError as error:
        raise Rejected("label", "not a PDF") from error
    expected = (WIDTH_MM * _POINTS_PER_MM, HEIGHT_MM * _POINTS_PER_MM)
    if any(abs(one - other) > 1 for one, other in zip(size, expected, strict=True)):
        raise Rejected("label", f"not one label of {WIDTH_MM:g} x {HEIGHT_MM:g} mm")


def _put(
    document: pypdfium2.PdfDocument,
    page: pypdfium2.PdfPage,
    label: bytes,
    place: tuple[float, float],
    paper: Paper,
) -> None:
    with pypdfium2.PdfDocument(label) as source:
        drawn = source.page_as_xobject(0, document).as_pageobject()
    left, top = place
    bottom = paper.height - top - HEIGHT_MM  # a page's origin is its lower left corner
    drawn.set_matrix(
        pypdfium2.PdfMatrix().translate(left * _POINTS_PER_MM, bottom * _POINTS_PER_MM)
    )
    page.insert_obj(drawn)


def _marks(paper: Paper, filled: Sequence[int]) -> bytes:
    """Pages with short lines outside each label's corners, for the labels that will lie there."""
    pdf = FPDF(unit="mm", format=(paper.width, paper.height))
    pdf.set_auto_page_break(False)
    pdf.set_title("Device labels")
    pdf.set_creation_date(_NO_DATE)
    pdf.set_line_width(0.1)
    length = min(_MARK_MM, paper.gap / 2) if paper.gap else 0.0
    for count in filled:
        pdf.add_page()
        for (left, top), _ in zip(paper.places(), range(count), strict=False):
            for x, away in ((left, -1), (left + WIDTH_MM, 1)):
                for y, up in ((top, -1), (top + HEIGHT_MM, 1)):
                    pdf.line(x, y, x + away * length, y)
                    pdf.line(x, y, x, y + up * length)
    return bytes(pdf.output())
