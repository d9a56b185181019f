"""Making an advisory of a product. Pure.

Owns what an advisory of ours says: publisher and product from the design file, each released
version with its package URL and the hash of its image, and the tests that keep the vulnerability
from coming back, as the gate reads them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from limpet import __version__
from limpet.errors import Rejected
from limpet.product import Product
from limpet.release.cvss import Score
from limpet.release.gate._past import REGRESSION_TEST
from limpet.wire.release import ReleaseManifest, sbom_path, version_key

from ._csaf import (
    ID_PATTERN,
    Advisory,
    Branch,
    CvssV3,
    Document,
    Engine,
    FileHash,
    Generator,
    Hashes,
    Helper,
    Note,
    ProductName,
    ProductStatus,
    Publisher,
    Reference,
    Remediation,
    Revision,
    ScoreOf,
    Severity,
    Tlp,
    TlpLabel,
    Tracking,
    Tree,
    Vulnerability,
    VulnerabilityId,
)

__all__ = ["Order", "choose_versions", "draft_advisory"]

OUR_SYSTEM = "the vendor's advisories"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the vendor's people say of the vulnerability."""

    id: str
    title: str
    summary: str
    cves: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()  # ids of other databases
    affected: tuple[str, ...]  # versions
    fixed: str = ""  # version
    score: Score | None = None
    severity: str = ""  # a word, where there is no score
    workaround: str = ""
    tests: tuple[str, ...] = ()  # ids as pytest prints them
    references: tuple[str, ...] = ()  # URLs
    host: str = ""  # of the vendor's service, for links


def choose_versions(wanted: str, released: Sequence[str]) -> tuple[str, ...]:
    """The versions that `wanted` names: "1.0.0,1.1.0", or "<1.2.0" of those that were released.

    Raises `Rejected("no-version")` if there is none.
    """
    try:
        if wanted.startswith("<"):
            bound = version_key(wanted[1:])
            found = [one for one in released if version_key(one) < bound]
        else:
            found = [one.strip() for one in wanted.split(",") if one.strip()]
            found.sort(key=version_key)
    except ValueError as error:
        raise Rejected(
            "no-version", f"{wanted!a} are no versions", hint="as <1.2.0, or as 1.0.0,1.1.0"
        ) from error
    if not found:
        hint = "say them: --affected 1.0.0,1.1.0; or --vendor DIR, which knows what was released"
        raise Rejected("no-version", f"no released version is {wanted}", hint=hint)
    return tuple(found)


def draft_advisory(
    order: Order, product: Product, releases: Sequence[ReleaseManifest], *, now: datetime
) -> Advisory:
    """A draft, revision 0. `releases` are those that are published, for hashes and links.

    Raises `Rejected("bad-id")`.
    """
    _verify_id(order.id)
    published = {one.version: one for one in releases}
    versions = sorted({*order.affected, *([order.fixed] if order.fixed else [])}, key=version_key)
    entries = [_version(product, one, published.get(one), order.host) for one in versions]
    affected = tuple(_product_id(product, one) for one in order.affected)
    vulnerabilities = [
        _vulnerability(order, product, affected, cve) for cve in (order.cves or (None,))
    ]
    severity = order.score.severity if order.score else order.severity
    return Advisory(
        document=Document(
            category="csaf_security_advisory",
            csaf_version="2.0",
            title=order.title,
            lang="en",
            publisher=_publisher(product, order.host),
            tracking=_tracking(order.id, now),
            distribution=Tlp(tlp=TlpLabel(label="WHITE")),
            notes=(
                Note(category="summary", text=order.summary, title="Summary"),
                *(_test_note(one) for one in order.tests),
            ),
            aggregate_severity=Severity(text=severity) if severity else None,
        ),
        product_tree=Tree(
            branches=(
                Branch(
                    category="vendor",
                    name=product.maker.name,
                    branches=(
                        Branch(
                            category="product_name",
                            name=product.model.name,
                            branches=tuple(entries),
                        ),
                    ),
                ),
            )
        ),
        vulnerabilities=tuple(vulnerabilities),
    )


def _verify_id(advisory_id: str) -> None:
    if not re.fullmatch(ID_PATTERN, advisory_id):
        raise Rejected(
            "bad-id",
            f"{advisory_id!r} is no id of an advisory",
            hint="up to 100 letters, digits and . _ + -, first and last a letter or digit:"
            " EX-2026-001",
        )


def _test_note(test: str) -> Note:
    """How the gate's rule `advisories-tested` finds the test."""
    return Note(category="other", title=REGRESSION_TEST, text=test)


def _publisher(product: Product, host: str) -> Publisher:
    name = host or product.vendor.hosts[0]
    return Publisher(
        category="vendor",
        name=product.maker.name,
        namespace=product.maker.url or f"https://{name}/",
        contact_details=", ".join(product.security_contact.contacts),
    )


def _tracking(advisory_id: str, now: datetime) -> Tracking:
    first = Revision(date=now, number="0", summary="Draft")
    return Tracking(
        id=advisory_id,
        status="draft",
        version="0",
        initial_release_date=now,
        current_release_date=now,
        revision_history=(first,),
        generator=Generator(engine=Engine(name="limpet", version=__version__), date=now),
    )


def _product_id(product: Product, version: str) -> str:
    return f"{product.model.name}-{version}"


def _version(product: Product, version: str, manifest: ReleaseManifest | None, host: str) -> Branch:
    model = product.model
    hashes: tuple[Hashes, ...] = ()
    bills: tuple[str, ...] = ()
    if manifest is not None:
        name = manifest.image.path.removeprefix("images/")
        digest = FileHash(algorithm="sha256", value=name.removesuffix(".img"))
        hashes = (Hashes(file_hashes=(digest,), filename=name),)
        if manifest.sbom and host:
            bills = (f"https://{host}/repository/{sbom_path(manifest.sbom)}",)
    return Branch(
        category="product_version",
        name=version,
        product=ProductName(
            name=f"{product.maker.name} {model.display_name} {version}",
            product_id=_product_id(product, version),
            product_identification_helper=Helper(
                hashes=hashes, purl=f"pkg:generic/{model.name}@{version}", sbom_urls=bills
            ),
        ),
    )


def _vulnerability(
    order: Order, product: Product, affected: tuple[str, ...], cve: str | None
) -> Vulnerability:
    fixed = (_product_id(product, order.fixed),) if order.fixed else ()
    names = order.aliases or (() if cve else (order.id,))
    scores: tuple[ScoreOf, ...] = ()
    if order.score is not None:
        scores = (ScoreOf(products=affected, cvss_v3=_score(order.score)),)
    return Vulnerability(
        cve=cve,
        ids=tuple(VulnerabilityId(system_name=_system(one), text=one) for one in names),
        title=order.title,
        notes=(Note(category="description", text=order.summary),),
        product_status=ProductStatus(known_affected=affected, fixed=fixed),
        references=tuple(Reference(summary=one, url=one) for one in order.references),
        remediations=_remedies(order, product, affected),
        scores=scores,
    )


def _score(score: Score) -> CvssV3:
    return CvssV3(
        version=score.version,  # type: ignore[arg-type]
        vectorString=score.vector,
        baseScore=score.base,
        baseSeverity=score.severity.upper(),  # type: ignore[arg-type]
    )


def _system(name: str) -> str:
    prefix = name.partition("-")[0]
    known = {"GHSA": "GitHub Security Advisories", "PYSEC": "PyPI Advisory Database"}
    return known.get(prefix, "OSV" if prefix.isupper() and "-" in name else OUR_SYSTEM)


def _remedies(order: Order, product: Product, affected: tuple[str, ...]) -> tuple[Remediation, ...]:
    found = []
    if order.fixed:
        text = f"Update {product.model.display_name} to {order.fixed} or later."
        found.append(Remediation(category="vendor_fix", details=text, product_ids=affected))
    if order.workaround:
        found.append(
            Remediation(category="workaround", details=order.workaround, product_ids=affected)
        )
    if not found:
        text = "No fix is available yet. This advisory will be revised."
        found.append(Remediation(category="none_available", details=text, product_ids=affected))
    return tuple(found)
