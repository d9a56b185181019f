"""The printed label: what a camera reads off it, and what a person reads on it."""

import re
from xml.etree import ElementTree

import pypdfium2
import pytest
import zxingcpp
from PIL import Image, ImageDraw

from limpet.errors import Misuse, Rejected
from limpet.product import Label, parse_label_uri
from limpet.vendor.factory.label import (
    HEIGHT_MM,
    MIN_MODULE_MM,
    MIN_TEXT_PT,
    WIDTH_MM,
    render_pdf,
    render_svg,
)

PIN = "q7cP0m5e1mIhU5cL3HnJ2nS8yTqv4m0bqv0X8mJ0d1s"
PRINTER_DPI = 300
SVG = "{http://www.w3.org/2000/svg}"


def a_label(**changes: str) -> Label:
    parts = {
        "maker": "Example Instruments",
        "model": "thermostat",
        "hardware_revision": "A2",
        "serial": "EX-0000017",
        "claim_code": "7K3M-Q9TX-0B4H-ZC2V",
        "support_contact": "security@instruments.example.com",
        "root_pin": PIN,
    }
    return Label(**(parts | changes))


def parsed(svg: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own bytes


def picture_of_pdf(pdf: bytes, page: int = 0) -> Image.Image:
    return pypdfium2.PdfDocument(pdf)[page].render(scale=PRINTER_DPI / 72).to_pil()


def picture_of_svg(svg: bytes) -> Image.Image:
    """The black squares of the SVG's own path, painted at the printer's resolution."""
    root = parsed(svg)
    scale = PRINTER_DPI / 25.4
    picture = Image.new("L", (round(WIDTH_MM * scale), round(HEIGHT_MM * scale)), 255)
    draw = ImageDraw.Draw(picture)
    path = root.find(f"{SVG}path").attrib["d"]
    for x, y, width, height in re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-", path):
        left, top = float(x) * scale, float(y) * scale
        right, bottom = left + float(width) * scale, top + float(height) * scale
        draw.rectangle((left, top, right - 1, bottom - 1), fill=0)
    return picture


def test_a_camera_reads_the_claim_off_the_pdf() -> None:
    label = a_label()
    codes = zxingcpp.read_barcodes(picture_of_pdf(render_pdf([label])))
    assert [code.text for code in codes] == [label.uri()]
    claim = parse_label_uri(codes[0].text)
    assert (claim.serial, claim.claim_code, claim.root_pin) == (
        label.serial,
        label.claim_code,
        label.root_pin,
    )


def test_a_camera_reads_the_claim_off_the_svg() -> None:
    label = a_label()
    codes = zxingcpp.read_barcodes(picture_of_svg(render_svg(label)))
    assert [code.text for code in codes] == [label.uri()]


def test_a_label_whose_code_is_half_wiped_is_not_read() -> None:
    """The decoder can say no: a wiped code gives nothing, so the tests above can fail."""
    picture = picture_of_pdf(render_pdf([a_label()]))
    scale = PRINTER_DPI / 25.4
    ImageDraw.Draw(picture).rectangle((0, 0, 13 * scale, 29 * scale), fill="white")
    assert zxingcpp.read_barcodes(picture) == []


def test_maker_model_revision_serial_and_code_are_printed_as_text() -> None:
    label = a_label()
    page = pypdfium2.PdfDocument(render_pdf([label]))[0]
    text = page.get_textpage().get_text_range()
    for words in ("Example Instruments", "thermostat", "A2", "EX-0000017", "7K3M-Q9TX-0B4H-ZC2V"):
        assert words in text
    svg_text = [node.text for node in parsed(render_svg(label)).iter(f"{SVG}text")]
    assert "Example Instruments" in svg_text
    assert "Model: thermostat" in svg_text
    assert "Hardware revision: A2" in svg_text


def test_the_page_has_the_size_of_the_label() -> None:
    width, height = pypdfium2.PdfDocument(render_pdf([a_label()]))[0].get_size()
    assert width * 25.4 / 72 == pytest.approx(WIDTH_MM, abs=0.1)
    assert height * 25.4 / 72 == pytest.approx(HEIGHT_MM, abs=0.1)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"serial": "Z" * 32, "claim_code": "-".join(["7K3M"] * 8)},
        {
            "maker": "A maker with a name of more than forty letters",
            "model": "thermostat-deluxe-xl",
        },
    ],
)
def test_every_module_and_every_letter_is_large_enough(changes: dict[str, str]) -> None:
    root = parsed(render_svg(a_label(**changes)))
    heights = re.findall(r"v([\d.]+)h-", root.find(f"{SVG}path").attrib["d"])
    assert min(map(float, heights)) >= MIN_MODULE_MM
    for node in root.iter(f"{SVG}text"):
        assert float(node.attrib["font-size"]) * 72 / 25.4 >= MIN_TEXT_PT - 0.01
        # Viewers without Helvetica take a font that is up to a fifth wider.
        end = float(node.attrib["x"]) + 1.2 * float(node.attrib["textLength"])
        assert end <= WIDTH_MM
        assert float(node.attrib["y"]) <= HEIGHT_MM


def test_the_longest_serial_and_code_can_still_be_scanned() -> None:
    label = a_label(serial="Z" * 32, claim_code="-".join(["7K3M"] * 8))
    codes = zxingcpp.read_barcodes(picture_of_pdf(render_pdf([label])))
    assert [code.text for code in codes] == [label.uri()]


def test_markup_in_a_makers_name_is_printed_and_not_obeyed() -> None:
    svg = render_svg(a_label(maker="A&B <script>"))
    texts = [node.text for node in parsed(svg).iter(f"{SVG}text")]
    assert "A&B <script>" in texts
    assert b"<script>" not in svg


def test_a_text_that_does_not_fit_is_refused_not_cut() -> None:
    with pytest.raises(Rejected, match="does not fit"):
        render_pdf([a_label(maker="W" * 64, model="W" * 64, support_contact="W" * 64)])


def test_letters_that_the_font_lacks_are_refused_not_replaced() -> None:
    with pytest.raises(Rejected, match="Latin-1"):
        render_svg(a_label(maker="計測器"))


def test_each_device_has_a_page_of_its_own() -> None:
    labels = [a_label(serial=f"EX-{number:07}") for number in range(3)]
    pdf = render_pdf(labels)
    document = pypdfium2.PdfDocument(pdf)
    read = [zxingcpp.read_barcodes(picture_of_pdf(pdf, page))[0].text for page in range(3)]
    assert len(document) == 3
    assert read == [label.uri() for label in labels]


def test_the_same_label_gives_the_same_bytes() -> None:
    assert render_pdf([a_label()]) == render_pdf([a_label()])
    assert render_svg(a_label()) == render_svg(a_label())


def test_a_pdf_without_labels_or_with_too_many_is_refused() -> None:
    with pytest.raises(Misuse):
        render_pdf([])
    with pytest.raises(Misuse):
        render_pdf([a_label()] * 1001)
