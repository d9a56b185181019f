"""A sheet of paper that text is set on line by line: fonts, margins, page numbers, anchors.

Owns fpdf2. Knows no document.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fpdf import FPDF
from fpdf.fonts import CoreFont

from ._lines import Piece, break_lines

__all__ = [
    "ACCENT",
    "BASE",
    "BOLD",
    "FILLS",
    "HEADING",
    "INK",
    "LINE",
    "MARGIN",
    "RULE",
    "SMALL",
    "SOFT",
    "TERM",
    "TITLE",
    "WIDTH",
    "Sheet",
    "Style",
]

MARGIN, WIDTH, FOOT = 20.0, 170.0, 22.0  # mm
TERM = 36.0  # width of a fact's term
LINE = 5.0  # height of a line of text, mm
Colour = tuple[int, int, int]
INK, SOFT, ACCENT, RULE = (28, 43, 43), (77, 95, 95), (11, 98, 89), (205, 215, 212)
FILLS = {"way": (231, 241, 239), "role": (253, 243, 220), "keeper": (238, 240, 250)}
_LEADING = 0.49  # of a font's size in points: a line's height in mm
_PLAINER = str.maketrans(
    {
        "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "…": "...", "•": "·",
        "→": "->", "←": "<-", "≥": ">=", "≤": "<=", "−": "-", "€": "EUR", "™": "(TM)",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    """How words are set; a `target` is a link's, of fpdf2 or an address."""

    points: float
    weight: str = ""
    mono: bool = False
    colour: Colour | None = None
    target: int | str = ""

    def bold(self) -> "Style":
        """The same, bold."""
        return replace(self, weight="B")


BASE, SMALL, BOLD, HEADING, TITLE = (
    Style(9.6), Style(8.2), Style(11, "B"), Style(15, "B"), Style(22, "B"),
)  # fmt: skip


class Sheet(FPDF):
    """The pages being made. `lacking` becomes true once a letter had to be written as "?"."""

    def __init__(self, title: str, maker: str) -> None:
        super().__init__(unit="mm", format="A4")
        self.heading, self.maker, self.lacking = title, maker, False
        self._anchors: dict[str, int] = {}
        self._widths: dict[tuple[str, str], dict[str, int]] = {}
        self.set_margins(MARGIN, MARGIN)
        self.set_auto_page_break(False)
        self.set_title(self.clean(title))
        self.set_author(self.clean(maker))
        self.set_lang("en")

    @property
    def bottom(self) -> float:
        """Where the last line ends, mm from the top."""
        return float(self.h) - FOOT

    def header(self) -> None:
        """The title again, from the second page on."""
        if self.page_no() > 1:
            self.write_at(MARGIN, 14, f"{self.maker} · {self.heading}", SMALL, SOFT)
        self.set_xy(MARGIN, MARGIN)

    def footer(self) -> None:
        """The page's number."""
        number = str(self.page_no())
        x = self.w - MARGIN - self._measure(SMALL, number)
        self.write_at(x, self.h - 11, number, SMALL, SOFT)

    def keep(self, height: float) -> None:
        """A new page, unless so much still fits."""
        if self.get_y() + height > self.bottom:
            self.add_page()

    def rule(self, y: float) -> None:
        """A line across."""
        self.set_draw_color(*RULE)
        self.set_line_width(0.2)
        self.line(MARGIN, y, MARGIN + WIDTH, y)

    def anchor(self, name: str) -> int:
        """The link to the anchor of this name, wherever it will be."""
        if name not in self._anchors:
            self._anchors[name] = self.add_link()
        return self._anchors[name]

    def mark(self, name: str) -> None:
        """The anchor is here."""
        self.set_link(self.anchor(name), y=self.get_y(), page=self.page_no())

    def lines(self, runs: Sequence[tuple[Style, str]], width: float) -> list[list[Piece[Style]]]:
        """The runs in lines of `width` mm."""
        cleaned = [(style, self.clean(words)) for style, words in runs]
        return break_lines(cleaned, self._measure, width)

    def set_lines(
        self,
        runs: Sequence[tuple[Style, str]],
        colour: Colour,
        *,
        left: float = MARGIN,
        width: float = WIDTH,
    ) -> None:
        """Set the runs from here downward, over pages."""
        points = max((style.points for style, _ in runs), default=BASE.points)
        height = max(LINE, points * _LEADING) if points > SMALL.points else LINE
        for line in self.lines(runs, width):
            if self.get_y() + height > self.bottom:
                self.add_page()
            self.draw(line, left, self.get_y(), height, colour)
            self.set_xy(MARGIN, self.get_y() + height)

    def draw(
        self, line: Sequence[Piece[Style]], left: float, top: float, height: float, colour: Colour
    ) -> None:
        """One line, its upper left corner at `left`, `top`."""
        for piece in line:
            style = piece.kind
            base = top + height * 0.5 + style.points * 0.125
            self.write_at(left + piece.x, base, piece.words, style, style.colour or colour)
            if style.target:
                self.link(left + piece.x, top, piece.width, height, style.target)

    def write_at(self, x: float, y: float, words: str, style: Style, colour: Colour) -> None:
        """Words with their base line at `y`."""
        self.set_font("Courier" if style.mono else "Helvetica", style.weight, style.points)
        self.set_text_color(*colour)
        self.text(x, y, self.clean(words))

    def clean(self, words: str) -> str:
        """In one line, in letters that the fonts have."""
        words = " ".join(words.splitlines()).translate(_PLAINER)
        found = words.encode("latin-1", "replace").decode("latin-1")
        self.lacking = self.lacking or found != words
        return found

    def _measure(self, style: Style, words: str) -> float:
        """The width of `words`, mm: of the built-in fonts, letter by letter."""
        key = ("Courier" if style.mono else "Helvetica", style.weight)
        if key not in self._widths:
            self.set_font(*key, 10)
            assert isinstance(self.current_font, CoreFont)  # noqa: S101 - no other is ever set
            self._widths[key] = dict(self.current_font.cw)
        widths = self._widths[key]
        return sum(widths.get(letter, 600) for letter in words) * style.points * 25.4 / 72000
