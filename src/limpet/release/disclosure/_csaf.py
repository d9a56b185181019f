"""Security advisories in CSAF 2.0 (OASIS, profile "csaf_security_advisory"), as limpet writes them.

Owns the form: a part of the standard's, closed. A document with a field beyond it is refused by
the name of that field, so that all that is published is of a form that was held against the
standard's schema.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from limpet.errors import Rejected
from limpet.storage import read_bounded
from limpet.wire.codec import Moment, decode_json, encode_json

__all__ = [
    "ADVISORY_BYTES",
    "Advisory",
    "Branch",
    "CvssV3",
    "Document",
    "Engine",
    "FileHash",
    "Generator",
    "Hashes",
    "Helper",
    "Note",
    "ProductName",
    "ProductStatus",
    "Publisher",
    "Reference",
    "Remediation",
    "Revision",
    "ScoreOf",
    "Severity",
    "Tlp",
    "TlpLabel",
    "Tracking",
    "Tree",
    "Vulnerability",
    "VulnerabilityId",
    "encode_advisory",
    "file_name",
    "load_advisory",
    "parse_advisory",
]

ADVISORY_BYTES = 1 << 20
Line = Annotated[str, Meta(min_length=1, max_length=1000)]
Prose = Annotated[str, Meta(min_length=1, max_length=20_000)]
Url = Annotated[str, Meta(pattern=r"^https://[^\s<>\"]+$", max_length=1000)]
ProductId = Annotated[str, Meta(min_length=1, max_length=200)]
Products = Annotated[tuple[ProductId, ...], Meta(min_length=1, max_length=2000)]
Number = Annotated[str, Meta(pattern="^(0|[1-9][0-9]{0,8})$")]  # integer versioning (3.1.11.1)


class _Part(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Immutable; what is empty is left out, because the schema has no empty lists."""


class Note(_Part, frozen=True, kw_only=True):
    """Text for a person, of a kind."""

    category: Literal[
        "description", "details", "faq", "general", "legal_disclaimer", "other", "summary"
    ]
    text: Prose
    title: Line | None = None


class Reference(_Part, frozen=True, kw_only=True):
    """Where more is."""

    summary: Line
    url: Url
    category: Literal["external", "self"] = "external"


class Publisher(_Part, frozen=True, kw_only=True):
    """Who speaks."""

    category: Literal["vendor"]
    name: Line
    namespace: Url
    contact_details: Line | None = None


class Revision(_Part, frozen=True, kw_only=True):
    """One entry of the history."""

    date: Moment
    number: Number
    summary: Line


class Engine(_Part, frozen=True, kw_only=True):
    """What made it."""

    name: Line
    version: Line | None = None


class Generator(_Part, frozen=True, kw_only=True):
    """What made it, and when."""

    engine: Engine
    date: Moment | None = None


ID_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._+-]{0,98}[A-Za-z0-9])?$"
"""An advisory's: it becomes the name of a file."""


class Tracking(_Part, frozen=True, kw_only=True):
    """Which advisory it is, in which revision."""

    id: Annotated[str, Meta(pattern=ID_PATTERN)]
    status: Literal["draft", "interim", "final"]
    version: Number
    initial_release_date: Moment
    current_release_date: Moment
    revision_history: Annotated[tuple[Revision, ...], Meta(min_length=1, max_length=1000)]
    generator: Generator | None = None


class TlpLabel(_Part, frozen=True, kw_only=True):
    """Who may read it: all."""

    label: Literal["WHITE"]


class Tlp(_Part, frozen=True, kw_only=True):
    """Its distribution."""

    tlp: TlpLabel


class Severity(_Part, frozen=True, kw_only=True):
    """How bad it is, in a word."""

    text: Line


class Document(_Part, frozen=True, kw_only=True):
    """What the advisory says of itself."""

    category: Literal["csaf_security_advisory"]
    csaf_version: Literal["2.0"]
    title: Line
    lang: Annotated[str, Meta(pattern="^[a-z]{2,3}(-[A-Z]{2})?$")] | None = None
    publisher: Publisher
    tracking: Tracking
    distribution: Tlp | None = None
    notes: Annotated[tuple[Note, ...], Meta(min_length=1, max_length=100)]
    references: Annotated[tuple[Reference, ...], Meta(max_length=100)] = ()
    aggregate_severity: Severity | None = None


class FileHash(_Part, frozen=True, kw_only=True):
    """One hash of a file; the schema takes the default as said, we say it."""

    algorithm: Annotated[str, Meta(pattern="^(sha256|sha512)$")]
    value: Annotated[str, Meta(pattern="^([0-9a-f]{64}|[0-9a-f]{128})$")]


class Hashes(_Part, frozen=True, kw_only=True):
    """A file of a product, by content."""

    file_hashes: Annotated[tuple[FileHash, ...], Meta(min_length=1, max_length=8)]
    filename: Line


class Helper(_Part, frozen=True, kw_only=True):
    """How a machine recognises the product."""

    hashes: Annotated[tuple[Hashes, ...], Meta(max_length=32)] = ()
    purl: Annotated[str, Meta(pattern=r"^pkg:[a-z][a-z0-9.+-]*/\S+$", max_length=500)] | None = None
    sbom_urls: Annotated[tuple[Url, ...], Meta(max_length=32)] = ()


class ProductName(_Part, frozen=True, kw_only=True):
    """A product in one version."""

    name: Line
    product_id: ProductId
    product_identification_helper: Helper | None = None


class Branch(_Part, frozen=True, kw_only=True):
    """A step of the way from vendor to version; either branches or a product follow."""

    category: Literal["vendor", "product_name", "product_version"]
    name: Line
    branches: tuple["Branch", ...] = ()
    product: ProductName | None = None


class Tree(_Part, frozen=True, kw_only=True):
    """Every product that the advisory speaks of."""

    branches: Annotated[tuple[Branch, ...], Meta(min_length=1, max_length=100)]


class CvssV3(_Part, frozen=True, kw_only=True):
    """A score, as its vector says (FIRST)."""

    version: Literal["3.0", "3.1"]
    vectorString: Line
    baseScore: Annotated[float, Meta(ge=0, le=10)]
    baseSeverity: Literal["NONE", "LOW", "MEDIUM", "HIGH", "CRITICAL"]


class ScoreOf(_Part, frozen=True, kw_only=True):
    """A score, and of which products."""

    products: Products
    cvss_v3: CvssV3


class ProductStatus(_Part, frozen=True, kw_only=True):
    """Which products have it."""

    known_affected: tuple[ProductId, ...] = ()
    fixed: tuple[ProductId, ...] = ()
    first_fixed: tuple[ProductId, ...] = ()
    known_not_affected: tuple[ProductId, ...] = ()
    under_investigation: tuple[ProductId, ...] = ()


class Remediation(_Part, frozen=True, kw_only=True):
    """What to do."""

    category: Literal["mitigation", "no_fix_planned", "none_available", "vendor_fix", "workaround"]
    details: Prose
    product_ids: Products
    url: Url | None = None
    date: Moment | None = None


class VulnerabilityId(_Part, frozen=True, kw_only=True):
    """Its name elsewhere."""

    system_name: Line
    text: Line


class Vulnerability(_Part, frozen=True, kw_only=True):
    """One vulnerability."""

    cve: Annotated[str, Meta(pattern="^CVE-[0-9]{4}-[0-9]{4,10}$")] | None = None
    ids: Annotated[tuple[VulnerabilityId, ...], Meta(max_length=32)] = ()
    title: Line | None = None
    notes: Annotated[tuple[Note, ...], Meta(min_length=1, max_length=100)]
    product_status: ProductStatus
    references: Annotated[tuple[Reference, ...], Meta(max_length=100)] = ()
    remediations: Annotated[tuple[Remediation, ...], Meta(max_length=100)] = ()
    scores: Annotated[tuple[ScoreOf, ...], Meta(max_length=100)] = ()
    discovery_date: Moment | None = None
    release_date: Moment | None = None


class Advisory(_Part, frozen=True, kw_only=True):
    """The whole document."""

    document: Document
    product_tree: Tree
    vulnerabilities: Annotated[tuple[Vulnerability, ...], Meta(min_length=1, max_length=100)]


def parse_advisory(data: bytes, name: str) -> Advisory:
    """The advisory in `data`; `name` is what messages call it.

    Raises `Rejected("malformed" | "too-large")` for what is no CSAF, and for what is CSAF beyond
    this part of it.
    """
    try:
        return decode_json(data, Advisory, max_bytes=ADVISORY_BYTES)
    except Rejected as error:
        raise Rejected(error.reason, f"{name}: {error.message}") from error


def load_advisory(path: Path) -> Advisory:
    """The advisory in a file. Raises `Rejected`, `Unavailable`."""
    return parse_advisory(read_bounded(path, max_bytes=ADVISORY_BYTES), path.name)


def encode_advisory(advisory: Advisory) -> bytes:
    """The same bytes for the same advisory."""
    return encode_json(advisory)


def file_name(advisory_id: str) -> str:
    """The name of its file (CSAF 2.0, 5.1): lower case, runs of other characters become "_"."""
    kept = "".join(
        one if one.isascii() and (one.isalnum() or one in "+-") else " "
        for one in advisory_id.lower()
    )
    words = kept.split()
    lead = "_" if kept[:1] == " " else ""
    trail = "_" if kept[-1:] == " " else ""
    return f"{lead}{'_'.join(words)}{trail}.json"
