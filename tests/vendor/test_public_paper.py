"""The security document on paper: the same text, bookmarks, nothing lost, the same bytes."""

import msgspec
import pypdfium2
import pytest
from fpdf import FPDF
from tests.vendor.face import NOW, everything, pages, papers, rights, thermostat
from tests.vendor.letters import read_sheets

from limpet.product import Direction, Product
from limpet.vendor.pages._lines import break_lines
from limpet.vendor.pages.document import (
    Chapter,
    Document,
    Entry,
    Facts,
    Link,
    Table,
    paragraph,
    text,
)
from limpet.vendor.pages.pdf import render_pdf
from limpet.vendor.pages.picture import Box, draw_architecture

LEAST = 6.99  # points; 7, as a reader computes them


def read(data: bytes) -> tuple[str, list[str], int]:
    """Text, titles of the bookmarks and number of pages."""
    paper = pypdfium2.PdfDocument(data)
    said = " ".join(page.get_textpage().get_text_range() for page in paper)
    titles = [mark.get_title() for mark in paper.get_toc()]
    return said, titles, len(paper)


def letters(said: str) -> str:
    """Without blanks and hyphens: lines are broken elsewhere."""
    return "".join(one for one in said if one.isalnum())


@pytest.fixture(scope="module")
def product() -> Product:
    return thermostat()


@pytest.fixture(scope="module")
def paper(product: Product) -> bytes:
    return papers(everything(product))["/security.pdf"].body


def test_everything_of_the_design_and_of_the_records_is_on_paper(
    product: Product, paper: bytes
) -> None:
    said = letters(read(paper)[0])
    for one in (*product.threats, *product.measures, *product.interfaces, *product.credentials):
        assert letters(one.description) in said, one.id
    for threat in product.threats:
        if threat.acceptance is not None:
            assert letters(threat.acceptance.reason) in said
    dossier = everything(product)
    assert dossier.rights is not None
    assert dossier.evidence is not None
    for process in dossier.rights.processes:
        assert letters(process.task) in said
    for finding in dossier.evidence.open_ends:
        assert letters(finding.evidence) in said
    for contact in product.security_contact.contacts:
        assert letters(contact.removeprefix("mailto:")) in said


def test_chapters_and_their_entries_are_bookmarks_and_pages_are_numbered(paper: bytes) -> None:
    said, titles, count = read(paper)
    page = pages(everything())["/security"].body.decode()
    chapters = [part.partition("</h2>")[0] for part in page.split("<h2>")[1:]]
    assert len(chapters) == 13
    assert set(chapters) <= set(titles)
    assert "password-guessing" in titles
    assert count > 12
    assert str(count) in said.split()


def test_every_letter_on_paper_can_be_read_and_the_drawing_lies_across_its_page(
    product: Product, paper: bytes
) -> None:
    sheets = list(read_sheets(paper))
    assert min(one.least for one in sheets) >= LEAST
    (drawing,) = [one for one in sheets if one.across]
    for way in product.interfaces:
        assert drawing.text.count(way.id) == 1
    assert {one.height for one in sheets if not one.across} == {drawing.width}
    assert sum(one.outside for one in sheets) == 0


def test_letters_that_are_too_small_or_beside_the_page_are_seen() -> None:
    """The measurements themselves."""
    bad = FPDF(unit="mm", format="A4")
    bad.add_page()
    bad.set_font("Helvetica", "", 4.6)
    bad.text(20, 20, "too small")
    bad.text(205, 30, "beside the page")
    (sheet,) = read_sheets(bytes(bad.output()))
    assert sheet.least == pytest.approx(4.6)
    assert not sheet.across
    assert sheet.outside > 5


@pytest.mark.parametrize("count", [5, 9, 12, 40])
def test_a_drawing_too_high_for_a_page_goes_on_and_each_box_stands_whole_on_one(
    product: Product, count: int
) -> None:
    wordy = "a protocol with a long name of many words and letters"
    ways = tuple(
        msgspec.structs.replace(one, id=f"{one.id}-{number:02}x", protocol=wordy)
        for direction in Direction
        for one in [next(one for one in product.interfaces if one.direction is direction)]
        for number in range(count + (direction is Direction.IN))
    )
    many = msgspec.structs.replace(product, interfaces=ways)
    drawing = draw_architecture(many, rights(product))
    chapters = (Chapter("a", "A", (drawing, paragraph("what follows"))),)
    sheets = list(read_sheets(render_pdf(Document(title="T", chapters=chapters), maker="M")))
    across = [one for one in sheets if one.across]
    assert len(across) == {5: 1, 9: 2, 12: 2, 40: 6}[count]
    for shape in drawing.shapes:
        if isinstance(shape, Box):
            (where,) = [one for one in across if f"{shape.title}\r" in f"{one.text}\r"]
            assert where.text.count(shape.title) == 1
    assert min(one.least for one in sheets) >= LEAST
    assert sum(one.outside for one in sheets) == 0
    assert "what follows" in sheets[-1].text
    assert not sheets[-1].across


def test_the_same_document_gives_the_same_bytes(product: Product, paper: bytes) -> None:
    render_pdf.cache_clear()
    assert papers(everything(product))["/security.pdf"].body == paper
    render_pdf.cache_clear()
    changed = msgspec.structs.replace(product, threats=product.threats[1:])
    assert papers(everything(changed))["/security.pdf"].body != paper


def test_a_document_that_was_set_before_is_not_set_again(product: Product) -> None:
    first = papers(everything(product))
    made = render_pdf.cache_info().misses
    assert papers(everything(thermostat())) == first
    assert render_pdf.cache_info().misses == made


def test_a_text_longer_than_a_page_goes_on_on_the_next_in_a_narrow_column_too() -> None:
    long = " ".join(f"word{number}" for number in range(1500))
    unbroken = "x" * 5000
    table = Table(
        headings=("A", "B", "C"),
        rows=((text("first"), text(long), text(unbroken)), (text("last"), text("b"), text("c"))),
        label="",
        widths=(10, 10, 80),
    )
    document = Document(title="Long", chapters=(Chapter("a", "A", (table, paragraph(long))),))
    said, _, count = read(render_pdf(document, maker="Maker"))
    for number in (0, 700, 1499):
        assert letters(said).count(f"word{number}") >= 2
    assert said.count("x") >= 5000
    assert "last" in said
    assert count > 5


def test_letters_that_the_fonts_lack_are_told_and_break_nothing(product: Product) -> None:
    maker = msgspec.structs.replace(product.maker, name="東芝 Ελλάς")
    foreign = msgspec.structs.replace(product, maker=maker)
    said, _, _ = read(papers(everything(foreign))["/security.pdf"].body)
    assert "set in Latin letters" in said
    assert "set in Latin letters" not in read(papers(everything(product))["/security.pdf"].body)[0]
    document = Document(title="“Quotes” – and…", opening=(paragraph("→ ≤ 5 €"),))
    said, _, _ = read(render_pdf(document, maker="M"))
    assert '"Quotes" - and...' in said
    assert "-> <= 5 EUR" in said


def test_text_for_a_markup_language_stays_text_on_paper() -> None:
    hostile = "**bold** <b>x</b> {nb} (Tj) \\( ) BT /F1"
    document = Document(title=hostile, opening=(paragraph(hostile), paragraph(Link("a", "#no"))))
    said, _, _ = read(render_pdf(document, maker=hostile))
    assert said.count("**bold** <b>x</b> {nb} (Tj)") >= 2


def test_lines_break_at_blanks_and_within_a_word_only_where_it_is_wider_than_a_line() -> None:
    def measure(kind: str, words: str) -> float:
        return len(words)

    lines = break_lines([("a", "one two "), ("b", "three"), ("a", ", abcdefghijkl")], measure, 9)
    said = ["".join(piece.words for piece in line) for line in lines]
    assert said == ["one two ", "three, ", "abcdefghi", "jkl"]
    assert all(piece.x + piece.width <= 10 for line in lines for piece in line)
    assert break_lines([("a", "")], measure, 9) == [[]]


def test_paper_knows_the_day_of_its_records_only() -> None:
    data = papers(everything())["/security.pdf"].body
    assert f"D:{NOW:%Y}".encode() in data


def test_what_belongs_together_stands_on_one_page_and_no_last_row_stands_alone() -> None:
    """Entries and tables of every length: each begins where the one before left the page."""
    chapters = tuple(
        Chapter(f"c{number}", f"Chapter {number}", (_table(number), *map(_entry, range(number))))
        for number in range(2, 9)
    )
    paper = pypdfium2.PdfDocument(render_pdf(Document(title="T", chapters=chapters), maker="M"))
    sheets = [page.get_textpage().get_text_range() for page in paper]
    assert len(sheets) > 6
    assert any("Title" in one for one in sheets)
    for said in sheets:
        assert said.count("Title") == said.count("begins") == said.count("ends")
        assert said.count("Head") <= said.count("row") / 2
        assert said.rstrip().splitlines()[-2][:7] != "Chapter"


def _table(rows: int) -> Table:
    cells = tuple((text(f"row {number}"), text("b")) for number in range(rows))
    return Table(headings=("Head", "B"), rows=cells, label="")


def _entry(number: int) -> Entry:
    said = text("word " * 20 * number + "ends")
    return Entry(f"e{number}", "Title", (Facts((("begins", text("1")), ("Said", said))),))


def test_a_link_to_the_paper_itself_is_on_the_screen_only(product: Product, paper: bytes) -> None:
    assert "The same as PDF" in pages(everything(product))["/security"].body.decode()
    said = read(paper)[0]
    assert "same as PDF" not in said
    assert "Firmware" in said
