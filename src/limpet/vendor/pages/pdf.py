"""A document on paper: A4, text that can be copied, bookmarks, numbered pages.

Owns what stands on a page, by fpdf2 alone: a vendor needs no browser. The same document gives the
same bytes. The built-in fonts have the letters of Western Europe; what they lack is written as
"?", and the first page says so.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

from fpdf import FPDF
from fpdf.outline import OutlineSection

from ._drawing import draw_picture
from ._lines import Piece
from ._sheet import (
    ACCENT,
    BASE,
    BOLD,
    HEADING,
    INK,
    LINE,
    MARGIN,
    SMALL,
    SOFT,
    TERM,
    TITLE,
    WIDTH,
    Sheet,
    Style,
)
from .document import (
    Block,
    Chapter,
    Code,
    Document,
    Entry,
    Facts,
    Link,
    Mark,
    Paragraph,
    Picture,
    Run,
    Table,
    Text,
    Tone,
)

__all__ = ["render_pdf"]

CELL, ROW_PADDING = 3.9, 1.3  # mm: a line of a table's cell, and what is above and below
WHOLE = 130.0  # mm: what is no higher is not broken over two pages
_NO_DATE = datetime(2000, 1, 1, tzinfo=UTC)
_TONES = {
    Tone.WARNING: (164, 40, 26), Tone.GOOD: (29, 107, 52), Tone.NOTE: SOFT, Tone.LEAD: SOFT,
}  # fmt: skip
_LACKING = (
    'This paper is set in Latin letters. What it shows as "?" stands in full on the pages that it'
    " was made with."
)


@lru_cache(maxsize=32)
def render_pdf(
    document: Document, *, maker: str, address: str = "", made_at: datetime | None = None
) -> bytes:
    """The document as a PDF. `address` (ending in a slash) is where links to other pages lead;
    without it they are words."""
    paper = _set(document, _Paper(document.title, maker, address))
    if paper.lacking:  # known at the end only, and said on the first page
        note = Paragraph((_LACKING,), Tone.NOTE)
        document = replace(document, opening=(note, *document.opening))
        paper = _set(document, _Paper(document.title, maker, address))
    paper.set_creation_date(made_at or _NO_DATE)
    return bytes(paper.output())


def _set(document: Document, paper: "_Paper") -> "_Paper":
    paper.begin()
    for block in document.opening:
        paper.put(block)
    if document.contents:
        paper.ln(3)
        paper.insert_toc_placeholder(_write_contents, pages=1)
    for chapter in document.chapters:
        paper.chapter(chapter)
        for block in chapter.blocks:
            paper.put(block)
    return paper


class _Paper(Sheet):
    """The blocks of a document, one below the other."""

    def __init__(self, title: str, maker: str, address: str) -> None:
        super().__init__(title, maker)
        self._address = address

    def begin(self) -> None:
        """The first page: maker and title."""
        self.add_page()
        self.set_lines([(BASE, self.maker)], SOFT)
        self.set_lines([(TITLE, self.heading)], INK)
        self.ln(3)

    def chapter(self, chapter: Chapter) -> None:
        """A heading of the first order, and a bookmark; never far from what follows it."""
        follows = 0.0
        for block in chapter.blocks:
            follows += self._height(block)
            if not isinstance(block, Paragraph):
                break
        self.keep(15 + min(follows, WHOLE))
        self.ln(6)
        self.mark(chapter.anchor)
        self.start_section(self.clean(chapter.title), level=0)
        self.set_lines([(HEADING, chapter.title)], INK)
        self.ln(1.5)

    def put(self, block: Block) -> None:
        """One block, and what is in it."""
        if isinstance(block, Paragraph) and block.screen_only:
            return
        if isinstance(block, Paragraph):
            self.set_lines(self._styled(block.text, BASE), _TONES.get(block.tone, INK))
            self.ln(1.5)
        elif isinstance(block, Facts):
            for term, said in block.pairs:
                self._fact(term, said)
            self.ln(1)
        elif isinstance(block, Table):
            self._table(block)
        elif isinstance(block, Picture):
            draw_picture(self, block)
        else:
            self._entry(block)

    def _height(self, block: Block) -> float:
        """About how high a block stands, mm; of a table, how much must stand together."""
        if isinstance(block, Paragraph):
            return len(self.lines(self._styled(block.text, BASE), WIDTH)) * LINE + 1.5
        if isinstance(block, Facts):
            return sum(
                max(
                    len(self.lines([(SMALL, term)], TERM - 2)),
                    len(self.lines(self._styled(said, BASE), WIDTH - TERM)),
                ) * LINE + 0.6
                for term, said in block.pairs
            ) + 1  # fmt: skip
        if isinstance(block, Entry):
            return 10 + sum(map(self._height, block.blocks))
        if isinstance(block, Picture):
            return 0.0  # on a page of its own
        return 24

    def _entry(self, block: Entry) -> None:
        height = self._height(block)
        self.keep(height if height <= WHOLE else 26)
        self.ln(1.5)
        self.mark(block.anchor)
        self.start_section(self.clean(block.title), level=1)
        self.set_lines([(BOLD, block.title)], INK)
        self.ln(0.5)
        for inner in block.blocks:
            self.put(inner)
        self.rule(self.get_y() + 0.5)
        self.ln(2)

    def _fact(self, term: str, said: Text) -> None:
        self.keep(2 * LINE)
        top, page = self.get_y(), self.page
        self.set_lines([(SMALL, term)], SOFT, width=TERM - 2)
        below, after = self.get_y(), self.page
        self.page = page
        self.set_y(top)
        self.set_lines(self._styled(said, BASE), INK, left=MARGIN + TERM, width=WIDTH - TERM)
        if self.page == after:
            self.set_y(max(self.get_y(), below))
        self.ln(0.6)

    def _table(self, block: Table) -> None:
        if not block.rows:
            self.put(Paragraph((block.empty,)))
            return
        shares = block.widths or (1,) * len(block.headings)
        widths = [WIDTH * one / sum(shares) for one in shares]
        headings = [self.lines([(SMALL.bold(), one)], width - 3) for one, width in
                    zip(block.headings, widths, strict=True)]  # fmt: skip
        rows = [
            [
                self.lines(self._styled(cell, SMALL), width - 3)
                for cell, width in zip(cells, widths, strict=True)
            ]
            for cells in block.rows
        ]
        heights = [max(map(len, one)) * CELL + 2 * ROW_PADDING for one in rows]
        self.keep(min(WHOLE, 8 + sum(heights[:2])))
        self._row(headings, widths, SOFT, filled=True)
        for number, lines in enumerate(rows):
            # The last row never stands alone on a page, and a row is broken only if it is high.
            together = sum(heights[number:]) if number == len(rows) - 2 else heights[number]
            if together <= WHOLE and self.get_y() + together > self.bottom:
                self.add_page()
                self._row(headings, widths, SOFT, filled=True)
            while any(lines):
                room = int((self.bottom - self.get_y() - 2 * ROW_PADDING) / CELL)
                if room < min(3, max(map(len, lines))):
                    self.add_page()
                    self._row(headings, widths, SOFT, filled=True)
                    continue
                self._row([one[:room] for one in lines], widths, INK)
                lines = [one[room:] for one in lines]
        self.ln(3)

    def _row(
        self,
        cells: "Sequence[Sequence[list[Piece[Style]]]]",
        widths: Sequence[float],
        colour: tuple[int, int, int],
        *,
        filled: bool = False,
    ) -> None:
        top = self.get_y()
        height = max(1, *map(len, cells)) * CELL + 2 * ROW_PADDING
        if filled:
            self.set_fill_color(242, 245, 243)
            self.rect(MARGIN, top, WIDTH, height, style="F")
        left = MARGIN + 1.5
        for lines, width in zip(cells, widths, strict=True):
            for number, line in enumerate(lines):
                self.draw(line, left, top + ROW_PADDING + number * CELL, CELL, colour)
            left += width
        self.rule(top + height)
        self.set_xy(MARGIN, top + height)

    def _styled(self, text: Text, style: Style) -> list[tuple[Style, str]]:
        """Each run in its look: colour and target are of its own."""
        found = []
        for run in text:
            own = style
            if isinstance(run, Code):
                own = Style(style.points - 1, "", mono=True)
            elif isinstance(run, Mark):
                weight = "" if run.tone is Tone.NOTE else "B"
                own = Style(style.points, weight, colour=_TONES.get(run.tone))
            elif isinstance(run, Link) and (target := self._target(run)):
                own = Style(style.points, "", colour=ACCENT, target=target)
            found.append((own, run if isinstance(run, str) else run.words))
        return found

    def _target(self, run: Run) -> "int | str":
        """Where a run leads on paper: within it, or to an address."""
        if not isinstance(run, Link):
            return ""
        if run.to.startswith("#"):
            return self.anchor(run.to[1:])
        if ":" in run.to.partition("/")[0]:
            return run.to
        return f"{self._address}{run.to}" if self._address else ""


def _write_contents(paper: FPDF, outline: list[OutlineSection]) -> None:
    assert isinstance(paper, Sheet)  # noqa: S101 - the one that it was given to
    for section in outline:
        if section.level:
            continue
        target = paper.add_link(page=section.page_number)
        style, top = Style(BASE.points, target=target), paper.get_y()
        paper.set_lines([(style, section.name)], INK)
        number = paper.lines([(style, str(section.page_number))], WIDTH)[0]
        paper.draw(number, MARGIN + WIDTH - number[-1].width, top, LINE, INK)
        paper.ln(1)
