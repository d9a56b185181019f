"""How large the letters of a PDF really are, as a foreign reader has them, and where they stand."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pypdfium2
import pypdfium2.raw

__all__ = ["Sheet", "read_sheets"]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page: its size, the points of its smallest letter, its text, and what lies outside."""

    width: float
    height: float
    least: float
    text: str
    outside: int

    @property
    def across(self) -> bool:
        """It is wider than high."""
        return self.width > self.height


def read_sheets(data: bytes) -> Iterator[Sheet]:
    """The pages of the document."""
    for page in pypdfium2.PdfDocument(data):
        text, matrix = page.get_textpage(), pypdfium2.raw.FS_MATRIX()
        width, height = page.get_size()
        least, outside = math.inf, 0
        for number in range(text.count_chars()):
            if pypdfium2.raw.FPDFText_IsGenerated(text, number):
                continue  # a blank or a break that the reader puts in
            pypdfium2.raw.FPDFText_GetMatrix(text, number, matrix)
            size = pypdfium2.raw.FPDFText_GetFontSize(text, number)
            least = min(least, size * math.hypot(matrix.c, matrix.d))
            left, bottom, right, top = text.get_charbox(number)
            outside += left < 0 or bottom < 0 or right > width or top > height
        yield Sheet(width, height, least, text.get_text_range(), outside)
