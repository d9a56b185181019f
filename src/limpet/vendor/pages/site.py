"""All pages of a vendor's products as bytes, by path; and as files for any static server.

Owns the paths and the facts that go into the templates. Pure but for
`write_site`. Jinja2 escapes every value: a design file cannot write markup.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

import jinja2

from limpet.errors import Rejected
from limpet.product import Product, render_security_txt
from limpet.product.mud import MUD_TYPE, SIGNATURE_TYPE, mud_path, signature_path
from limpet.storage import make_directory, write_atomic
from limpet.vendor.pages.mud import MudFiles
from limpet.wire.support import AfterSupport, SupportStatement

__all__ = ["Page", "PublicModel", "Site", "render_site", "write_site"]

HTML = "text/html; charset=utf-8"
PUBLIC_FILE, PUBLIC_DIRECTORY = 0o644, 0o755
AFTER = {
    AfterSupport.KEEPS_WORKING_LOCALLY.value: "The device keeps working on your own network.",
    AfterSupport.STOPS_REMOTE_FUNCTIONS.value: "Functions over the Internet stop.",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page."""

    media_type: str
    body: bytes
    file: str  # below `public/pages`


Site = Mapping[str, Page]
"""Pages by their path in the URL."""


@dataclass(frozen=True, slots=True)
class PublicModel:
    """One model, and what was signed or made for it."""

    product: Product
    statement: SupportStatement | None = None
    mud: MudFiles | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the pages of a model begin; those of the first one at the host's root."""

    name: str
    home: str
    security: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Support:
    """The commitment as a page says it (draft-moore, 5.1)."""

    until: date
    over: bool
    text: str
    after: str
    signed: bool


def render_site(
    product: Product,
    statement: SupportStatement | None,
    *,
    now: datetime,
    canonical_host: str,
    mud: MudFiles | None = None,
    others: Sequence[PublicModel] = (),
) -> Site:
    """Every page at `now`. A signed `statement` goes before the design file's own commitment.

    `product` is the vendor's first, with the host's own pages and `security.txt`; `others` have
    pages and MUD files of their own. An expired security contact leaves `security.txt` out
    (RFC 9116, 2.5.5: a stale file must not be used); the page says so.
    """
    pages = {"/style.css": Page("text/css; charset=utf-8", _asset("style.css"), "style.css")}
    models = (PublicModel(product, statement, mud), *others)
    for model in models:
        pages |= _pages(model, models, now)
    url = f"https://{canonical_host}/.well-known/security.txt"
    if text := _contact(product, now, url):
        pages["/.well-known/security.txt"] = Page(
            "text/plain; charset=utf-8", text, ".well-known/security.txt"
        )
    return pages


def _pages(model: PublicModel, models: Sequence[PublicModel], now: datetime) -> dict[str, Page]:
    product, name = model.product, model.product.model.name
    place = _place(model, models)
    facts: dict[str, object] = {
        "product": product,
        "support": _support(product, model.statement, now),
        "place": place,
        "others": [_place(other, models) for other in models if other is not model],
        # What the host's security.txt says is the first model's.
        "reachable": bool(_contact(product, now)),
        **_assessment(product),
        "today": now.date(),
    }
    first = model is models[0]
    return {
        place.home: Page(
            HTML,
            _render("product.html", facts),
            "index.html" if first else f"products/{name}.html",
        ),
        f"/support/{name}": Page(HTML, _render("support.html", facts), f"support/{name}.html"),
        place.security: Page(
            HTML, _render("security.html", facts), f"{place.security.lstrip('/')}.html"
        ),
        **_network_policy(product, model.mud),
    }


def _place(model: PublicModel, models: Sequence[PublicModel]) -> _Place:
    name, shown = model.product.model.name, model.product.model.display_name
    if model is models[0]:
        return _Place(shown, "/", "/security")
    return _Place(shown, f"/products/{name}", f"/security/{name}")


def _contact(product: Product, now: datetime, url: str | None = None) -> bytes:
    """`security.txt`; empty when the contact has expired."""
    try:
        return render_security_txt(product, now=now, canonical_url=url).encode()
    except Rejected:
        return b""


def _network_policy(product: Product, mud: MudFiles | None) -> Site:
    if mud is None:
        return {}
    path = mud_path(product)
    pages = {path: Page(MUD_TYPE, mud.document, path.lstrip("/"))}
    if mud.signature is not None:
        path = signature_path(product)
        pages[path] = Page(SIGNATURE_TYPE, mud.signature, path.lstrip("/"))
    return pages


def write_site(site: Site, directory: Path) -> int:
    """Write the pages that changed below `directory`; how many."""
    written = 0
    for page in site.values():
        path = directory / page.file
        if path.exists() and path.read_bytes() == page.body:
            continue
        make_directory(path.parent, mode=PUBLIC_DIRECTORY)
        write_atomic(path, page.body, mode=PUBLIC_FILE)
        written += 1
    return written


def _assessment(product: Product) -> Mapping[str, object]:
    """The design read backwards: which threats come through an interface or meet a measure."""
    return {
        "threats_at": {
            interface.id: [t.id for t in product.threats if interface.id in t.interfaces]
            for interface in product.interfaces
        },
        "threats_met": {
            measure.id: [t.id for t in product.threats if measure.id in t.measures]
            for measure in product.measures
        },
    }


def _duration(seconds: int) -> str:
    """In the largest unit that divides it: "6 hours", "1 minute"."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, rest = divmod(seconds, length)
        if count and not rest:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "no time"


def _support(product: Product, statement: SupportStatement | None, now: datetime) -> _Support:
    if statement is not None:
        until, text, after = statement.until.astimezone(UTC).date(), statement.text, statement.after
    else:
        until, text = product.support.until, product.support.text
        after = AfterSupport(product.support.after.value)
    over = now >= statement.until if statement is not None else now.date() > until
    return _Support(
        until=until,
        over=over,
        text=text,
        after=AFTER[after.value],
        signed=statement is not None,
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _asset(name).decode()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = _duration
    return environment


def _render(template: str, facts: Mapping[str, object]) -> bytes:
    return _environment().get_template(template).render(facts).encode()


def _asset(name: str) -> bytes:
    return (files("limpet.vendor.pages") / "templates" / name).read_bytes()
