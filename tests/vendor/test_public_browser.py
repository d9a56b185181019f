"""The pages in a real browser, from a file and from the service: a phone, a desk, light and dark.

`LIMPET_PICTURES=DIR` keeps a screenshot of every page in DIR.
"""

import base64
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.device.page.browser import PROGRAMS, Browser, run_driver
from tests.vendor.face import everything, pages, papers, thermostat
from tests.vendor.letters import read_sheets
from tests.vendor.workshop import Running

from limpet.product import Product
from limpet.vendor.pages import Site, replace_site

LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3 (AA)
LEAST_POINTS = 7.0

LOOK = """
const lum = colour => { const [r, g, b] = colour.map(v => { v /= 255;
  return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
  return .2126 * r + .7152 * g + .0722 * b; };
const parse = text => { const n = text.match(/[\\d.]+/g).map(Number);
  return n.length > 3 && n[3] === 0 ? null : n.slice(0, 3); };
const paper = one => { for (let up = one; up; up = up.parentElement) {
  const found = parse(getComputedStyle(up).backgroundColor); if (found) return found; }
  return [255, 255, 255]; };
const faint = [];
for (const one of document.querySelectorAll("body *")) {
  if (![...one.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
  if (one.closest("svg, head, .skip, tr:nth-child(n + 30), article:nth-of-type(n + 8)")) continue;
  const ink = lum(parse(getComputedStyle(one).color)), ground = lum(paper(one));
  const ratio = (Math.max(ink, ground) + .05) / (Math.min(ink, ground) + .05);
  if (ratio < arguments[0]) faint.push(`${one.tagName} ${ratio.toFixed(2)} ${one.textContent}`);
}
const levels = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map(h => +h.tagName[1]);
const ids = [...document.querySelectorAll("[id]")].map(one => one.id);
const split = [...document.querySelectorAll("time")].filter(one =>
  one.getClientRects().length !== 1);
const loose = [...document.querySelectorAll("body *")].filter(one =>
  !one.closest("time, code, svg, h1, h2, h3, dt") && [...one.childNodes].some(n =>
  n.nodeType === 3 && /\\b\\d{4}-\\d\\d-\\d\\d\\b/.test(n.data)));
return {
  split: split.map(one => one.textContent), loose: loose.map(one => one.textContent),
  dates: document.querySelectorAll("time").length,
  faint: faint.slice(0, 5),
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  levels, skips: levels.slice(1).filter((level, at) => level - levels[at] > 1).length,
  twice: ids.filter((id, at) => ids.indexOf(id) !== at),
  scrolls: [...document.querySelectorAll(".wide")].every(one =>
    one.tabIndex === 0 && one.getAttribute("aria-label")
    && ["auto", "scroll"].includes(getComputedStyle(one).overflowX)),
  tables: document.querySelectorAll("table").length,
  caught: document.querySelectorAll(".wide table").length,
  font: parseFloat(getComputedStyle(document.body).fontSize),
  styled: getComputedStyle(document.body).maxWidth,
};
"""


def long_design() -> Product:
    """Words that no phone is wide enough for."""
    product = thermostat()
    word = "x" * 64
    description = f"{word * 20} and {word}"
    interface = msgspec.structs.replace(product.interfaces[0], description=description)
    model = msgspec.structs.replace(product.model, display_name=word, description=description)
    return msgspec.structs.replace(
        product, model=model, interfaces=(interface, *product.interfaces[1:])
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    assert not missing, f"install {missing} (Debian: chromium chromium-driver libnss3-tools)"
    home = tmp_path_factory.mktemp("browser")
    with run_driver(home, root_pem=None) as port:
        started = Browser(port, profile=home / "profile", phone=False)
        yield started
        started.close()


def at(browser: Browser, width: int, scheme: str) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.tell("Emulation.setDeviceMetricsOverride", size)
    browser.prefer(scheme)


def look(browser: Browser, name: str) -> dict[str, Any]:
    found = browser.run(LOOK, LEAST_CONTRAST)
    assert isinstance(found, dict)
    if directory := os.environ.get("LIMPET_PICTURES"):
        browser.picture(Path(directory) / f"{name}.png")
    return found


@pytest.mark.parametrize("design", ["thermostat", "long words"])
def test_every_page_fits_phone_and_desk_can_be_read_and_is_in_order(
    browser: Browser, tmp_path: Path, design: str
) -> None:
    dossier = everything(thermostat() if design == "thermostat" else long_design())
    site = pages(dossier)
    replace_site(site, tmp_path / "site")
    names = [page.file for page in site.values() if page.file.endswith(".html")]
    assert len(names) == 9
    browser.errors()
    dates = 0
    for name in names:
        at(browser, 1280, "light")
        browser.open(f"file://{tmp_path / 'site' / name}")
        for width, scheme in ((1280, "light"), (1280, "dark"), (360, "light")):
            at(browser, width, scheme)
            found = look(
                browser, f"{name.removesuffix('.html').replace('/', '-')}-{width}-{scheme}"
            )
            where = (name, width, scheme)
            assert found["styled"] == "960px", (where, "its style sheet did not come")
            assert found["wide"] <= 0, where
            assert found["faint"] == [], where
            assert (found["levels"][0], found["levels"].count(1), found["skips"]) == (1, 1, 0)
            assert found["twice"] == [], where
            assert (found["split"], found["loose"]) == ([], []), where
            dates += found["dates"]
            assert found["scrolls"], where
            assert found["tables"] == found["caught"], where
            assert found["font"] >= 16, where
    assert dates > 50
    assert browser.errors() == []


def test_the_drawing_can_be_read_on_paper_too(browser: Browser, tmp_path: Path) -> None:
    replace_site(pages(everything()), tmp_path / "site")
    browser.open(f"file://{tmp_path / 'site' / 'security.html'}")
    a4 = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": True}
    printed = browser.tell("Page.printToPDF", a4)
    sheets = list(read_sheets(base64.b64decode(printed["data"])))
    (drawing,) = [one for one in sheets if one.across]
    assert "update-repository" in drawing.text
    assert drawing.outside == 0
    assert min(one.least for one in sheets) >= LEAST_POINTS


def test_what_is_too_wide_or_too_faint_is_seen(browser: Browser, tmp_path: Path) -> None:
    """The measurements themselves: a page that is wrong in each way."""
    page = tmp_path / "bad.html"
    page.write_text(
        "<!doctype html><meta name=viewport content='width=device-width'><body><h1>A</h1>"
        "<h3 id=a style='color:#999;background:#aaa'>B</h3><p id=a style='width:2000px'>C</p>"
        "<table><tr><td>D</table><p style='width:3rem'><time>2026-11-28</time><p>on 2026-11-28"
    )
    at(browser, 360, "light")
    browser.open(f"file://{page}")
    found = look(browser, "bad")
    assert found["wide"] > 1000
    assert len(found["faint"]) == 1
    assert (found["split"], found["loose"]) == (["2026-11-28"], ["on 2026-11-28"])
    assert (found["skips"], found["twice"], found["caught"]) == (1, ["a"], 0)


def test_a_hostile_text_runs_nothing_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    hostile = "<img src=x onerror='document.title=1'><script>document.title=1</script>"
    product = thermostat()
    changed = msgspec.structs.replace(
        product, model=msgspec.structs.replace(product.model, display_name=hostile)
    )
    replace_site(pages(everything(changed)), tmp_path / "site")
    browser.open(f"file://{tmp_path / 'site' / 'security.html'}")
    assert hostile in browser.text()
    assert browser.run("return document.images.length + document.scripts.length") == 0
    assert "document.title=1" in browser.run("return document.title")


def test_the_service_serves_the_same_pages(server: Running) -> None:
    client = server.client()
    for path in ("/", "/index.html", "/security", "/security.html", "/audit/thermostat",
                 "/compare.json", "/compare.csv"):  # fmt: skip
        answer = client.get(path, max_bytes=1 << 20)
        assert answer.status == 200, path
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert client.get("/compare.json", max_bytes=1 << 20).headers["content-type"] == (
        "application/json"
    )
    assert client.get("/vendor.json", max_bytes=1 << 20).status == 404
    site: Site = server.service.render(papers=True)
    assert site["/security.pdf"].media_type == "application/pdf"
    assert site.keys() == papers(everything()).keys()


def test_papers_come_beside_the_pages_of_the_running_service(server: Running) -> None:
    """Seconds after the start: others start too then."""
    file = server.home.public / "pages" / "security.pdf"
    end = time.monotonic() + 120
    while not file.exists():
        assert time.monotonic() < end
        time.sleep(0.2)
    answer = server.client().get("/security.pdf", max_bytes=1 << 20)
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.body == file.read_bytes()
