"""Labels for printers: what a camera reads off bitmaps and sheets, and that sizes are true."""

import subprocess
import sys
from pathlib import Path

import pypdfium2
import pytest
import zxingcpp
from PIL import Image
from tests.vendor.factory.test_label import a_label

from limpet.cli import factory
from limpet.cli._frame import guard
from limpet.errors import Rejected
from limpet.vendor.factory.label import HEIGHT_MM, WIDTH_MM, render_pdf
from limpet.vendor.factory.sheets import (
    LEAST_DPI,
    PAPERS,
    Paper,
    compose_sheets,
    load_labels,
    render_png,
)

A4 = Paper(*PAPERS["a4"])


def labels(count: int) -> tuple[list[str], list[bytes]]:
    made = [a_label(serial=f"EX-{number:07}") for number in range(count)]
    return [label.uri() for label in made], [render_pdf([label]) for label in made]


def read(picture: Image.Image) -> set[str]:
    return {code.text for code in zxingcpp.read_barcodes(picture)}


@pytest.mark.parametrize("dpi", [LEAST_DPI, 300, 600])
def test_a_camera_reads_the_claim_off_the_bitmap_at_every_printers_resolution(
    tmp_path: Path, dpi: int
) -> None:
    (tmp_path / "label.png").write_bytes(render_png(a_label(), dpi=dpi))
    with Image.open(tmp_path / "label.png") as picture:
        assert read(picture) == {a_label().uri()}
        assert picture.info["dpi"] == pytest.approx((dpi, dpi), abs=1)
        assert picture.width == pytest.approx(WIDTH_MM / 25.4 * dpi, abs=2)
        assert picture.height == pytest.approx(HEIGHT_MM / 25.4 * dpi, abs=2)


def test_labels_are_drawn_by_threads_beside_each_other() -> None:
    program = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from tests.vendor.factory.test_label import a_label\n"
        "from limpet.vendor.factory.sheets import render_png\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    print(len(set(pool.map(lambda _: render_png(a_label()), range(60)))))\n"
    )  # in a process of its own: PDFium that is called by two threads ends it (SIGSEGV)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=150, check=False
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_a_resolution_that_would_blur_the_code_is_refused() -> None:
    with pytest.raises(Rejected, match="203"):
        render_png(a_label(), dpi=100)


def test_every_label_of_a_batch_is_read_off_its_sheets() -> None:
    uris, pdfs = labels(30)
    with pypdfium2.PdfDocument(compose_sheets(pdfs, A4)) as document:
        pictures = [page.render(scale=300 / 72).to_pil() for page in document]
        words = "".join(page.get_textpage().get_text_range() for page in document)
    assert [len(read(picture)) for picture in pictures] == [27, 3]
    assert read(pictures[0]) | read(pictures[1]) == set(uris)
    assert all(f"EX-{number:07}" in words for number in range(30))


def test_labels_keep_their_size_and_lie_apart() -> None:
    picture = pypdfium2.PdfDocument(compose_sheets(labels(2)[1], A4))[0].render(scale=4).to_pil()
    alone = pypdfium2.PdfDocument(labels(1)[1][0])[0].render(scale=4).to_pil()
    left, top = next(A4.places())
    corner = (round(left / 25.4 * 288), round(top / 25.4 * 288))
    cut = picture.crop((*corner, corner[0] + alone.width, corner[1] + alone.height))
    inner = (4, 4, alone.width - 4, alone.height - 4)  # without the marks at the edge
    black = [
        one.crop(inner).convert("L").point(lambda value: 255 if value < 128 else 0).getbbox()
        for one in (cut, alone)
    ]
    assert black[0] == pytest.approx(black[1], abs=2)


@pytest.mark.parametrize(
    ("paper", "fits"), [(A4, (3, 9)), (Paper(*PAPERS["letter"]), (3, 8)), (Paper(80, 45), (1, 1))]
)
def test_a_sheet_holds_what_fits_and_stays_within_its_margins(
    paper: Paper, fits: tuple[int, int]
) -> None:
    assert (paper.columns, paper.rows) == fits
    for left, top in paper.places():
        assert paper.margin <= left <= paper.width - paper.margin - WIDTH_MM + 0.001
        assert paper.margin <= top <= paper.height - paper.margin - HEIGHT_MM + 0.001


@pytest.mark.parametrize("words", [{"width": 70, "height": 40}, {"margin": 80}, {"gap": -1}])
def test_paper_without_room_for_a_label_is_refused(words: dict[str, float]) -> None:
    with pytest.raises(Rejected):
        Paper(**({"width": 210.0, "height": 297.0} | words))


def test_only_labels_go_on_a_sheet(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="holds 0 labels"):
        load_labels(tmp_path)
    (tmp_path / "a.pdf").write_bytes(compose_sheets(labels(1)[1], A4))
    with pytest.raises(Rejected, match="not one label"):
        load_labels(tmp_path)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7 nothing")
    with pytest.raises(Rejected, match="not a PDF"):
        load_labels(tmp_path)


def test_the_command_leaves_a_file_that_others_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels").mkdir()
    for number, pdf in enumerate(labels(2)[1]):
        (tmp_path / "labels" / f"{number}.pdf").write_bytes(pdf)
    out = tmp_path / "sheets.pdf"
    words = ["sheet", str(tmp_path / "labels"), "--out", str(out)]
    assert guard(lambda: factory.app(words)) == 0
    assert "2 labels on 1 sheet, 3 x 9 a sheet" in capsys.readouterr().out
    assert out.stat().st_mode & 0o777 == 0o600
    assert guard(lambda: factory.app([*words, "--paper", "a5!"])) == 1
    assert "is no paper" in capsys.readouterr().err
