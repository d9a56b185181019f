"""The mandatory tests of CSAF 2.0, section 6.1, as far as limpet's part of it can fail them. Pure.

Owns them; each fault names its test. Not here, because the form (`_csaf`) leaves no room for them:
6.1.3 to 5, 8, 11, 12, 15, 20, 24, 26, 28 to 33, and of the profiles all but that of the security
advisory.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations

from packageurl import PackageURL

from limpet.errors import Rejected
from limpet.release.cvss import parse_cvss

from ._csaf import Advisory, Branch, Hashes, Note, ProductName, Vulnerability

__all__ = ["Fault", "find_faults", "verify_advisory"]

OURS = "limpet"
"""In the place of a test's number: what the standard does not ask."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a test of the standard finds."""

    test: str  # its number
    message: str


def verify_advisory(advisory: Advisory, name: str) -> None:
    """Raise `Rejected("bad-advisory")` with the first faults, if a test finds any."""
    faults = find_faults(advisory)
    if faults:
        said = "; ".join(
            one.message if one.test == OURS else f"{one.message} (CSAF 2.0, {one.test})"
            for one in faults[:4]
        )
        raise Rejected("bad-advisory", f"{name}: {said}")


def find_faults(advisory: Advisory) -> tuple[Fault, ...]:
    """What all tests find, in the order of the standard."""
    found = [Fault(number, text) for number, test in _TESTS for text in test(advisory)]
    return tuple(found)


def _products(advisory: Advisory) -> list[ProductName]:
    return [one for branch in advisory.product_tree.branches for one in _below(branch)]


def _below(branch: Branch) -> Iterator[ProductName]:
    if branch.product is not None:
        yield branch.product
    for one in branch.branches:
        yield from _below(one)


def _shape(advisory: Advisory) -> Iterator[str]:
    def look(branch: Branch) -> Iterator[str]:
        if bool(branch.branches) == (branch.product is not None):
            yield f"{branch.name} has to have either branches or a product"
        for one in branch.branches:
            yield from look(one)

    for branch in advisory.product_tree.branches:
        yield from look(branch)
    for one in advisory.vulnerabilities:
        if not any(ids for _, ids in _status(one)):
            yield "a vulnerability without a product status"


def _status(one: Vulnerability) -> list[tuple[str, tuple[str, ...]]]:
    status = one.product_status
    return [
        ("affected", status.known_affected),
        ("fixed", status.fixed + status.first_fixed),
        ("not affected", status.known_not_affected),
        ("under investigation", status.under_investigation),
    ]


def _referred(one: Vulnerability) -> Iterator[str]:
    for _, ids in _status(one):
        yield from ids
    for remedy in one.remediations:
        yield from remedy.product_ids
    for score in one.scores:
        yield from score.products


def _undefined(advisory: Advisory) -> Iterator[str]:
    known = {one.product_id for one in _products(advisory)}
    for one in advisory.vulnerabilities:
        for missing in sorted(set(_referred(one)) - known):
            yield f"product {missing} is not in the product tree"


def _twice_defined(advisory: Advisory) -> Iterator[str]:
    count = Counter(one.product_id for one in _products(advisory))
    for name in (one for one, times in count.items() if times > 1):
        yield f"product {name} is there twice"


def _contradicting(advisory: Advisory) -> Iterator[str]:
    for one in advisory.vulnerabilities:
        for (first, some), (second, others) in combinations(_status(one), 2):
            for product in sorted(set(some) & set(others)):
                yield f"product {product} is {first} and {second}"


def _scored_twice(advisory: Advisory) -> Iterator[str]:
    for one in advisory.vulnerabilities:
        count = Counter(
            (product, score.cvss_v3.version) for score in one.scores for product in score.products
        )
        for product, version in (key for key, times in count.items() if times > 1):
            yield f"product {product} has two scores of CVSS {version}"


def _miscomputed(advisory: Advisory) -> Iterator[str]:
    for one in advisory.vulnerabilities:
        for score in one.scores:
            said = score.cvss_v3
            try:
                found = parse_cvss(said.vectorString)
            except Rejected as error:
                yield error.message
                continue
            if said.version != found.version:
                yield f"{found.vector} is of CVSS {found.version}"
            if (said.baseScore, said.baseSeverity.lower()) != (found.base, found.severity):
                yield f"{found.vector} is {found.base}, {found.severity}"


def _bad_purl(advisory: Advisory) -> Iterator[str]:
    for product in _products(advisory):
        helper = product.product_identification_helper
        if helper is not None and helper.purl is not None:
            try:
                PackageURL.from_string(helper.purl)
            except ValueError:
                yield f"{helper.purl} is no package URL"


def _history(advisory: Advisory) -> Iterator[str]:
    history = advisory.document.tracking.revision_history
    if [one.number for one in sorted(history, key=_when)] != [
        str(one) for one in sorted(int(entry.number) for entry in history)
    ]:
        yield "the revisions' dates are not in the order of their numbers"


def _when(revision: object) -> tuple[datetime, int]:
    return revision.date, int(revision.number)  # type: ignore[attr-defined]


def _latest(advisory: Advisory) -> Iterator[str]:
    tracking = advisory.document.tracking
    last = max(tracking.revision_history, key=_when).number
    if tracking.version != last:
        yield f"its version is {tracking.version}, its last revision {last}"


def _zero(advisory: Advisory) -> Iterator[str]:
    tracking = advisory.document.tracking
    if tracking.version == "0" and tracking.status != "draft":
        yield f"version 0 is a draft's, and it is {tracking.status}"


def _draft(advisory: Advisory) -> Iterator[str]:
    """Beyond the standard, which lets a draft follow what was released: ours is a revision then."""
    tracking = advisory.document.tracking
    if tracking.status == "draft" and tracking.version != "0":
        yield f"a draft has version 0, not {tracking.version}"


def _released(advisory: Advisory) -> Iterator[str]:
    tracking = advisory.document.tracking
    if tracking.status != "draft" and any(one.number == "0" for one in tracking.revision_history):
        yield "what is released has no revision 0"


def _gaps(advisory: Advisory) -> Iterator[str]:
    numbers = {int(one.number) for one in advisory.document.tracking.revision_history}
    first = min(numbers)
    if first > 1 or numbers != set(range(first, max(numbers) + 1)):
        yield "a revision is missing in the history"


def _repeated(advisory: Advisory) -> Iterator[str]:
    count = Counter(one.number for one in advisory.document.tracking.revision_history)
    for number in (one for one, times in count.items() if times > 1):
        yield f"revision {number} is there twice"


def _same_cve(advisory: Advisory) -> Iterator[str]:
    count = Counter(one.cve for one in advisory.vulnerabilities if one.cve)
    for cve in (one for one, times in count.items() if times > 1):
        yield f"{cve} is there twice"


def _hashed_twice(advisory: Advisory) -> Iterator[str]:
    for product in _products(advisory):
        helper = product.product_identification_helper
        files: tuple[Hashes, ...] = helper.hashes if helper else ()
        for file in files:
            if len({one.algorithm for one in file.file_hashes}) < len(file.file_hashes):
                yield f"{file.filename} has two hashes of one algorithm"


def _unnamed(advisory: Advisory) -> Iterator[str]:
    """6.1.27.8 asks it of the profile VEX only; without a name the gate has nothing to go by."""
    for number, one in enumerate(advisory.vulnerabilities):
        if one.cve is None and not one.ids:
            yield f"vulnerability {number} has neither a CVE id nor another"


def _untold(advisory: Advisory) -> Iterator[str]:
    """Profile 4, 27.1 asks it of other profiles; a reader of ours finds a word on what it is."""
    telling = ("description", "details", "general", "summary")
    notes: tuple[Note, ...] = advisory.document.notes
    if not any(one.category in telling for one in notes):
        yield "no note says what this is about"


def _unprintable(advisory: Advisory) -> Iterator[str]:
    """Beyond the standard: no control characters, which could drive whoever prints it."""
    document = advisory.document
    notes = [*document.notes, *(note for one in advisory.vulnerabilities for note in one.notes)]
    lines = [document.title, document.publisher.name, *(one.title or "" for one in notes)]
    lines += [one.title or "" for one in advisory.vulnerabilities]
    lines += [one.summary for one in document.tracking.revision_history]
    prose = [one.text for one in notes]
    prose += [one.details for each in advisory.vulnerabilities for one in each.remediations]
    bad = [one for one in lines if not one.isprintable()]
    bad += [one for one in prose if not one.replace("\n", "").replace("\t", "").isprintable()]
    for text in bad:
        yield f"characters that cannot be printed in {text[:40]!a}"


_TESTS: tuple[tuple[str, Callable[[Advisory], Iterator[str]]], ...] = (
    ("schema", _shape),
    ("6.1.1", _undefined),
    ("6.1.2", _twice_defined),
    ("6.1.6", _contradicting),
    ("6.1.7", _scored_twice),
    ("6.1.9 and 10", _miscomputed),
    ("6.1.13", _bad_purl),
    ("6.1.14", _history),
    ("6.1.16", _latest),
    ("6.1.17", _zero),
    ("6.1.18 and 19", _released),
    ("6.1.21", _gaps),
    ("6.1.22", _repeated),
    ("6.1.23", _same_cve),
    ("6.1.25", _hashed_twice),
    (OURS, _draft),
    (OURS, _unnamed),
    (OURS, _untold),
    (OURS, _unprintable),
)
