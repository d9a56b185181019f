"""Public pages: the contact is there, the commitment is true today, no value writes markup."""

import os
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import msgspec
import pytest
from tests.vendor.workshop import PRODUCT

from limpet.product import Deviation, Product, load_product, render_mud
from limpet.vendor.pages import (
    Dossier,
    Site,
    find_page,
    load_contact,
    load_mud,
    render_site,
    write_site,
)
from limpet.wire.support import AfterSupport, SupportStatement

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HOST = "vendor.example"


@pytest.fixture
def product() -> Product:
    return load_product(PRODUCT / "product.toml")


def render(
    product: Product, statement: SupportStatement | None = None, now: datetime = NOW
) -> Site:
    return show(Dossier(product=product, statement=statement), now)


def show(dossier: Dossier, now: datetime = NOW) -> Site:
    contact = load_contact(dossier.product, Path("nowhere"), host=HOST, now=now)
    return render_site([dossier], now=now, contact=contact.text)


def text(site: Site, path: str) -> str:
    return site[path].body.decode()


KINDS = ("support", "releases", "components", "advisories", "audit", "network")
HTML = ("/", "/security", "/compare", *(f"/{kind}/thermostat" for kind in KINDS))


def test_every_page_names_the_security_contact_and_the_maker(product: Product) -> None:
    site = render(product)
    for path in HTML:
        for contact in product.security_contact.contacts:
            assert contact in text(site, path)
        assert product.maker.name in text(site, path)
    assert product.security_contact.policy_url in text(site, "/security")


def test_security_txt_is_served_with_its_own_address(product: Product) -> None:
    page = text(render(product), "/.well-known/security.txt")
    assert f"Contact: {product.security_contact.contacts[0]}" in page
    assert f"Canonical: https://{HOST}/.well-known/security.txt" in page
    assert "Expires: " in page


def test_a_stale_contact_is_not_offered_to_programs_and_people_are_told(product: Product) -> None:
    late = datetime.combine(product.security_contact.expires, NOW.timetz()) + timedelta(days=1)
    site = render(product, now=late)
    assert "/.well-known/security.txt" not in site
    assert "out of date" in text(site, "/security")


def test_the_support_page_gives_the_date_and_what_follows(product: Product) -> None:
    page = text(render(product), "/support/thermostat")
    assert product.support.until.isoformat() in page
    assert "until" in page
    assert "What comes after" in page
    after = datetime.combine(product.support.until, NOW.timetz()) + timedelta(days=1)
    assert "ended on" in text(render(product, now=after), "/support/thermostat")


def test_the_signed_statement_goes_before_the_design_file(product: Product) -> None:
    statement = SupportStatement(
        model="thermostat",
        until=NOW - timedelta(days=1),
        after=AfterSupport.STOPS_REMOTE_FUNCTIONS,
        text="Thank you & goodbye.",
        issued_at=NOW - timedelta(days=9),
    )
    page = text(render(product, statement), "/support/thermostat")
    assert "ended on" in page
    assert "2026-11-21" in page
    assert "Thank you &amp; goodbye." in page
    assert "over the Internet stop" in page
    assert "ended on" in text(render(product, statement), "/")


def test_a_design_file_writes_no_markup(product: Product) -> None:
    script = "<script>alert(1)</script>\"'>"
    threat = msgspec.structs.replace(product.threats[0], description=script)
    model = msgspec.structs.replace(product.model, display_name=script, description=script)
    maker = msgspec.structs.replace(product.maker, name=script)
    hostile = msgspec.structs.replace(product, model=model, maker=maker, threats=(threat,))
    site = render(hostile)
    for path in HTML:
        assert "<script" not in text(site, path)
        assert "&lt;script&gt;" in text(site, path)


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def plain(prose: str) -> str:
    return " ".join(prose.split())


def article(page: str, anchor: str) -> str:
    found = re.search(rf'<article id="{anchor}".*?</article>', page, re.DOTALL)
    assert found, anchor
    return found[0]


def test_an_expert_finds_every_threat_with_its_measures_or_its_acceptance(
    product: Product,
) -> None:
    page = text(render(product), "/security")
    for threat in product.threats:
        part = article(page, f"threat-{threat.id}")
        assert plain(threat.description) in words(part)
        for interface in threat.interfaces:
            assert f'href="#interface-{interface}"' in part
        for measure in threat.measures:
            assert f'href="#measure-{measure}"' in part
        assert ("Accepted" in part) is (threat.acceptance is not None)
        if threat.acceptance is not None:
            for said in (threat.acceptance.owner, threat.acceptance.reason):
                assert plain(said) in words(part)
            assert threat.acceptance.review_by.isoformat() in part


def test_an_expert_finds_every_other_part_of_the_design(product: Product) -> None:
    page = text(render(product), "/security")
    for interface in product.interfaces:
        part = words(article(page, f"interface-{interface.id}"))
        assert plain(interface.description) in part
        assert plain(interface.unauthenticated_because or "") in part
        assert interface.port is None or f"port {interface.port}" in part
    for credential in product.credentials:
        part = words(article(page, f"credential-{credential.id}"))
        assert plain(credential.description) in part
        assert str(credential.entropy_bits or credential.minimum_length) in part
    for measure in product.measures:
        part = words(article(page, f"measure-{measure.id}"))
        for said in (measure.description, *measure.statements, *measure.code, *measure.checks):
            assert plain(said) in part
    whole = words(page)
    decisions = product.decisions
    for one in (decisions.memory_protection, decisions.flood_handling, decisions.physical_attack):
        assert plain(one.choice) in whole
        assert plain(one.rationale) in whole
    for gap in product.confinement_gaps:
        assert gap.mechanism.value in whole
        assert plain(gap.rationale) in whole
    assert "about every 6 hours, at irregular intervals of 4 hours to 8 hours" in whole
    assert "for at most 30 days" in whole


def test_the_page_follows_the_design_and_hides_no_deviation(product: Product) -> None:
    deviation = Deviation(
        statement="R3.1c", choice="No hardware source.", rationale="No such part."
    )
    changed = msgspec.structs.replace(
        product,
        decisions=msgspec.structs.replace(product.decisions, deviations=(deviation,)),
        confinement_gaps=(),
        threats=product.threats[1:],
    )
    page = text(render(changed), "/security")
    assert product.threats[0].id not in page
    whole = words(page)
    assert "R3.1c No hardware source. Because: No such part." in whole
    assert "No mechanism is left out." in whole
    assert "What is not used" not in whole


def test_an_acceptance_past_its_review_is_shown_as_overdue(product: Product) -> None:
    reviews = sorted(t.acceptance.review_by for t in product.threats if t.acceptance)
    day = datetime.combine(reviews[0], NOW.timetz())
    assert "overdue" not in text(render(product, now=day), "/security")
    late = text(render(product, now=day + timedelta(days=1)), "/security")
    # At each such threat, and among the risks that are left.
    assert late.count("overdue") == 2 * reviews.count(reviews[0])


def test_every_anchor_on_the_page_is_there_once(product: Product) -> None:
    page = text(render(product), "/security")
    anchors = re.findall(r' id="([^"]*)"', page)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(anchors)


def test_pages_load_nothing_from_anywhere_else_and_fit_a_phone(product: Product) -> None:
    site = render(product)
    for path in HTML:
        page = text(site, path)
        assert re.findall(r'(?:src|srcset)="', page) == []
        assert set(re.findall(r'<link[^>]*href="([^"]*)"', page)) <= {"style.css", "../style.css"}
        assert "<script" not in page
        assert " style=" not in page
        assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
        assert 'name="viewport" content="width=device-width' in page
    assert "url(" not in text(site, "/style.css")
    assert "@import" not in text(site, "/style.css")


def test_every_link_within_the_site_leads_to_a_file_of_it(product: Product) -> None:
    site = render(product)
    files = {page.file: page for page in site.values()} | {"security.pdf": None}
    seen = set()
    for path in HTML:
        folder = Path(site[path].file).parent
        for link in re.findall(r'href="([^"#:]+)(?:#[^"]*)?"', text(site, path)):
            assert not link.startswith("/"), "a page must work from any place"
            seen.add(os.path.normpath(folder / link))
    assert seen <= set(files)
    assert {site[path].file for path in HTML} <= seen
    assert find_page(site, "/security.html") is site["/security"]
    assert find_page(site, "/index.html") is site["/"]
    assert find_page(site, "/nowhere") is None


def test_the_same_pages_are_written_as_files_and_only_when_they_changed(
    product: Product, tmp_path: Path
) -> None:
    site = render(product)
    assert write_site(site, tmp_path) == len(site)
    assert write_site(site, tmp_path) == 0
    assert (tmp_path / "index.html").read_bytes() == site["/"].body
    later = render(product, now=NOW + timedelta(days=1))
    changed = {path for path in site if site[path].body != later[path].body}
    assert changed == {"/.well-known/security.txt", "/compare.json"}  # their day is another one
    assert write_site(later, tmp_path) == len(changed)


MUD, SIGNATURE = "/mud/thermostat.json", "/mud/thermostat.p7s"


def with_mud(product: Product, directory: Path, now: datetime = NOW) -> tuple[Site, str]:
    mud = load_mud(product, directory, now=now, changed_at=NOW - timedelta(days=9))
    return show(Dossier(product=product, mud=mud), now), mud.fault


def test_the_mud_file_is_made_from_the_design_until_somebody_signs_one(
    product: Product, tmp_path: Path
) -> None:
    site, fault = with_mud(product, tmp_path)
    assert (site[MUD].media_type, fault) == ("application/mud+json", "")
    assert SIGNATURE not in site
    changed = NOW - timedelta(days=9)
    assert site[MUD].body == render_mud(product, last_update=changed, supported=True)
    later, _ = with_mud(product, tmp_path, NOW + timedelta(days=1))
    assert later[MUD].body == site[MUD].body  # it does not look new each time
    assert write_site(site, tmp_path / "pages") == len(site)
    assert (tmp_path / "pages" / "mud" / "thermostat.json").read_bytes() == site[MUD].body


def test_a_signed_mud_file_is_served_as_it_is(product: Product, tmp_path: Path) -> None:
    document = render_mud(product, last_update=NOW, supported=True, signed=True)
    (tmp_path / "thermostat.json").write_bytes(document)
    (tmp_path / "thermostat.p7s").write_bytes(b"signature")
    site, fault = with_mud(product, tmp_path)
    assert (site[MUD].body, site[SIGNATURE].body, fault) == (document, b"signature", "")
    assert site[SIGNATURE].media_type == "application/pkcs7-signature"


@pytest.mark.parametrize("change", ["a port more", "another design", "junk", "no document"])
def test_a_signed_mud_file_that_is_out_of_step_is_not_served(
    product: Product, tmp_path: Path, change: str
) -> None:
    signed = msgspec.structs.replace(product, interfaces=product.interfaces[1:])
    documents = {
        "a port more": render_mud(product, last_update=NOW, supported=True, signed=True).replace(
            b"8443", b"8444"
        ),
        "another design": render_mud(signed, last_update=NOW, supported=True, signed=True),
        "junk": b"{",
    }
    if change in documents:
        (tmp_path / "thermostat.json").write_bytes(documents[change])
    (tmp_path / "thermostat.p7s").write_bytes(b"signature")
    site, fault = with_mud(product, tmp_path)
    assert "thermostat.json" in fault
    assert SIGNATURE not in site
    assert site[MUD].body == with_mud(product, tmp_path / "none")[0][MUD].body


def test_a_mud_file_says_when_support_is_over(product: Product, tmp_path: Path) -> None:
    signed = render_mud(product, last_update=NOW, supported=True, signed=True)
    (tmp_path / "thermostat.json").write_bytes(signed)
    (tmp_path / "thermostat.p7s").write_bytes(b"signature")
    over = datetime.combine(product.support.until, NOW.timetz()) + timedelta(days=1)
    site, fault = with_mud(product, tmp_path, over)
    assert "does not say what the design says" in fault
    assert b'"is-supported": false' in site[MUD].body
