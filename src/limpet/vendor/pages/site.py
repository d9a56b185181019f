"""All pages of a vendor's products as bytes, by path.

Owns which pages there are. Pure. Jinja2 escapes every value: neither a design file nor an audit's
report nor a component's name can write markup.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup, escape

from limpet.product.mud import MUD_TYPE, SIGNATURE_TYPE
from limpet.wire.codec import encode_json

from . import content, document
from .comparison import compare, comparison_page, render_csv, render_json
from .dossier import Dossier
from .places import COMPARISON, Place, address_of, relative

__all__ = ["Page", "Site", "find_page", "render_papers", "render_site"]

HTML, TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"
JSON, CSV, PDF = "application/json", "text/csv; charset=utf-8", "application/pdf"
CYCLONEDX = "application/vnd.cyclonedx+json"
SECURITY_TXT = ".well-known/security.txt"

_DATE = re.compile(
    r"(?<![\w-])(?P<day>\d{4}-\d{2}-\d{2})(?:T\d{2}:\d{2}:\d{2}Z)?(?![\w-])", re.ASCII
)

_TESTS: Mapping[str, type] = {
    "link": document.Link,
    "code": document.Code,
    "mark": document.Mark,
    "paragraph": document.Paragraph,
    "facts": document.Facts,
    "table": document.Table,
    "picture": document.Picture,
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page."""

    media_type: str
    body: bytes
    file: str  # below the site's directory


Site = Mapping[str, Page]
"""Pages by their path in the URL."""


def find_page(site: Site, path: str) -> Page | None:
    """The page at `path`, which may name its file too: `/security.html` is `/security`."""
    return site.get(path) or site.get(address_of(path.removeprefix("/")))


def render_site(
    dossiers: Sequence[Dossier], *, now: datetime, contact: bytes, signed: bool = False
) -> Site:
    """Every page at `now`, but for the papers, which take seconds: `render_papers`.

    The first of `dossiers` has the host's own pages; `contact` is the text of its `security.txt`,
    empty where the contact has expired (RFC 9116, 2.5.5: a stale file must not be used): the
    pages say so. `signed` says that an OpenPGP signature is around it.
    """
    places = _places(dossiers)
    pages = [Page("text/css; charset=utf-8", _asset("style.css"), "style.css")]
    for one, place in zip(dossiers, places, strict=True):
        others = tuple(other for other in places if other is not place)
        security = _security(one, place, now, contact, signed=signed)
        pages += _documents(one, place, others, security, now)
        pages += _records(one, place)
    terms = compare(dossiers, now)
    sheet = comparison_page(terms, places, dossiers)
    pages += [
        _page(sheet, COMPARISON, dossiers[0], places[0], shown=len(places) == 1),
        Page(JSON, render_json(terms, now), "compare.json"),
        Page(CSV, render_csv(terms), "compare.csv"),
    ]
    if contact:
        pages.append(Page(TEXT, contact, SECURITY_TXT))
    return {address_of(page.file): page for page in pages}


def render_papers(
    dossiers: Sequence[Dossier], *, now: datetime, contact: bytes, signed: bool = False
) -> Site:
    """The security documents as PDF, of the same arguments; one that was made before comes at
    once."""
    from .pdf import render_pdf  # fpdf2 and what it brings is large, and few need it

    pages = []
    for one, place in zip(dossiers, _places(dossiers), strict=True):
        hosts = one.product.vendor.hosts
        paper = render_pdf(
            _security(one, place, now, contact, signed=signed),
            maker=one.product.maker.name,
            address=f"https://{hosts[0]}/" if hosts else "",
            made_at=_last_change(one),
        )
        pages.append(Page(PDF, paper, place.paper))
    return {address_of(page.file): page for page in pages}


def _places(dossiers: Sequence[Dossier]) -> list[Place]:
    models = [one.product.model for one in dossiers]
    return [
        Place(model.name, model.display_name, number == 0) for number, model in enumerate(models)
    ]


def _security(
    one: Dossier, place: Place, now: datetime, contact: bytes, *, signed: bool
) -> document.Document:
    # What the host's security.txt says is the first model's.
    reachable = bool(contact) if place.first else now.date() < one.product.security_contact.expires
    return content.security_document(
        one, place, now, reachable=reachable, machine_readable=bool(contact), signed=signed
    )


def _documents(
    one: Dossier,
    place: Place,
    others: tuple[Place, ...],
    security: document.Document,
    now: datetime,
) -> list[Page]:
    documents = {
        place.overview: content.overview_page(one, place, others, now),
        place.security: security,
        place.page("support"): content.support_page(one, now),
        place.page("releases"): content.releases_page(one, place),
        place.page("components"): content.components_page(one, place),
        place.page("advisories"): content.advisories_page(one),
        place.page("audit"): content.audit_page(one, place),
        place.page("network"): content.network_page(one, place),
    }
    return [_page(each, file, one, place) for file, each in documents.items()]


def _last_change(one: Dossier) -> datetime | None:
    """The newest day of what the paper is made from: the same records give the same bytes."""
    days = [record.release.manifest.built_at for record in one.releases]
    if one.evidence is not None:
        days.append(one.evidence.started)
    return max(days, default=None)


def _records(one: Dossier, place: Place) -> list[Page]:
    """Files for programs, as they were published."""
    pages = []
    if one.mud is not None:
        pages.append(Page(MUD_TYPE, one.mud.document, place.data("mud")))
        if one.mud.signature is not None:
            pages.append(Page(SIGNATURE_TYPE, one.mud.signature, place.data("mud", "p7s")))
    if one.evidence is not None:
        pages.append(Page(JSON, one.evidence_data, place.data("audit")))
    if one.bill is not None:
        pages.append(Page(CYCLONEDX, one.bill_data, place.data("components", "cdx.json")))
    if one.rights is not None:
        pages.append(Page(JSON, encode_json(one.rights), place.data("rights")))
    pages += [
        Page(JSON, advisory.data, f"advisories/{advisory.file}") for advisory in one.advisories
    ]
    return pages


def _page(
    what: document.Document, file: str, one: Dossier, place: Place, *, shown: bool = True
) -> Page:
    facts: dict[str, object] = {
        "document": what,
        "maker": one.product.maker.name,
        "place": place if shown else None,
        "pages": list(place.pages()),
        "here": file,
        "contacts": one.product.security_contact.contacts,
    }
    return Page(HTML, _environment().get_template("page.html").render(facts).encode(), file)


def _at(target: str, here: str) -> str:
    """A link as the page `here` writes it: a file of the site relatively, all else as it is."""
    foreign = target.startswith("#") or target.partition(":")[0] in (
        "http", "https", "mailto", "tel"
    )  # fmt: skip
    return target if foreign else relative(target, here)


def _dated(words: str) -> Markup:
    """Words with each date as a `time`, which no line breaks; escaped like all else."""
    return Markup(_DATE.sub(_time, escape(words)))  # noqa: S704 - of escaped words


def _time(found: re.Match[str]) -> str:
    try:
        date.fromisoformat(found["day"])
    except ValueError:
        return found[0]
    return f"<time>{found[0]}</time>"


def _is(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kind)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _asset(name).decode()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["at"] = _at
    environment.filters["dated"] = _dated
    # The one thing that is markup already: `limpet.vendor.pages.picture` escapes its words.
    environment.filters["drawing"] = Markup
    environment.tests |= {name: _is(kind) for name, kind in _TESTS.items()}
    return environment


def _asset(name: str) -> bytes:
    return (files("limpet.vendor.pages") / "templates" / name).read_bytes()
