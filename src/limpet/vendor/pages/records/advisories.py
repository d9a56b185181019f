"""Security advisories (CSAF 2.0, OASIS), as far as a page lists them.

Owns the reading of `advisories/*.json`. A file that is none is named as a fault, and hides no
other one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from limpet.errors import LimpetError
from limpet.storage import read_bounded
from limpet.wire.codec import Moment, decode_json

__all__ = ["ADVISORY_BYTES", "Advisory", "load_advisories", "read_advisory"]

ADVISORY_BYTES = 4 << 20
MAX_ADVISORIES = 1000
_LISTS = frozenset({"index", "changes", "list", "feed"})  # beside the documents, not among them

Short = Annotated[str, Meta(max_length=1000)]
Long = Annotated[str, Meta(max_length=20_000)]


class _Severity(msgspec.Struct, frozen=True):
    text: Short = ""


class _Tracking(msgspec.Struct, frozen=True):
    id: Annotated[str, Meta(pattern=r"^\S(.{0,98}\S)?$")]
    status: Literal["draft", "interim", "final"]
    initial_release_date: Moment
    current_release_date: Moment
    version: Short = ""


class _About(msgspec.Struct, frozen=True):
    title: Short
    csaf_version: Literal["2.0", "2.1"]
    category: Short
    tracking: _Tracking
    aggregate_severity: _Severity = _Severity()


class _Remediation(msgspec.Struct, frozen=True):
    category: Short
    details: Long = ""


class _Vulnerability(msgspec.Struct, frozen=True):
    cve: Annotated[str, Meta(pattern="^(CVE-[0-9]{4}-[0-9]{4,})?$")] = ""
    title: Short = ""
    remediations: tuple[_Remediation, ...] = ()


class _Branch(msgspec.Struct, frozen=True):
    category: Short = ""
    name: Short = ""
    branches: tuple["_Branch", ...] = ()


class _Tree(msgspec.Struct, frozen=True):
    branches: tuple[_Branch, ...] = ()


class _Document(msgspec.Struct, frozen=True):
    document: _About
    product_tree: _Tree = _Tree()
    vulnerabilities: tuple[_Vulnerability, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """One advisory."""

    id: str
    title: str
    severity: str
    status: str
    released: str  # ISO date
    changed: str
    cves: tuple[str, ...]
    remedies: tuple[str, ...]
    products: frozenset[str]  # every name in its product tree
    file: str  # its name
    data: bytes


def read_advisory(data: bytes, file: str) -> Advisory:
    """The advisory in `data`. Raises `Rejected("malformed" | "too-large")`."""
    found = decode_json(data, _Document, max_bytes=ADVISORY_BYTES)
    about = found.document
    return Advisory(
        id=about.tracking.id,
        title=about.title,
        severity=about.aggregate_severity.text,
        status=about.tracking.status,
        released=about.tracking.initial_release_date.date().isoformat(),
        changed=about.tracking.current_release_date.date().isoformat(),
        cves=tuple(dict.fromkeys(one.cve for one in found.vulnerabilities if one.cve)),
        remedies=tuple(
            dict.fromkeys(
                remedy.details or remedy.category.replace("_", " ")
                for one in found.vulnerabilities
                for remedy in one.remediations
            )
        ),
        products=frozenset(_names(found.product_tree.branches)),
        file=file,
        data=data,
    )


def load_advisories(directory: Path) -> tuple[tuple[Advisory, ...], tuple[str, ...]]:
    """What is published in `directory`, newest first, without drafts; and what cannot be read."""
    found, faults = [], []
    for path in sorted(directory.glob("*.json"))[:MAX_ADVISORIES]:
        if path.stem in _LISTS or path.name.startswith("."):
            continue
        try:
            advisory = read_advisory(read_bounded(path, max_bytes=ADVISORY_BYTES), path.name)
        except LimpetError as error:
            faults.append(f"{path.name}: {error.message}")
            continue
        if advisory.status != "draft":
            found.append(advisory)
    found.sort(key=lambda one: (one.released, one.id), reverse=True)
    return tuple(found), tuple(faults)


def _names(branches: tuple[_Branch, ...]) -> Iterator[str]:
    for branch in branches:
        yield branch.name
        yield from _names(branch.branches)
