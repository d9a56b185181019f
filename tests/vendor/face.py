"""A dossier with everything in it: the thermostat's design, and records as others write them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.vendor.workshop import make_manifest

from limpet.crypto.suites import find_suite, load_suite
from limpet.device.rights import describe_rights
from limpet.firmware.description import FirmwareDescription
from limpet.product import Product, load_product
from limpet.requirements import load_statements
from limpet.vendor.pages import (
    Dossier,
    ReleaseRecord,
    Site,
    load_contact,
    load_mud,
    render_papers,
    render_site,
)
from limpet.vendor.pages.records import KeyRole, read_bill, read_evidence
from limpet.vendor.pages.records.advisories import Advisory, read_advisory
from limpet.vendor.repository import PublishedRelease
from limpet.wire.codec import decode_json
from limpet.wire.release import MANIFEST_BYTES, ReleaseManifest
from limpet.wire.rights import Rights

__all__ = [
    "HOST", "NOW", "advisory", "audit", "bill", "everything", "pages", "papers", "rights",
    "thermostat",
]  # fmt: skip

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HOST = "vendor.example.com"
VERDICTS = ("pass", "pass", "pass", "attested", "not applicable", "could not determine", "not yet")


def thermostat() -> Product:
    return load_product(Path("examples/thermostat") / "product.toml")


def rights(product: Product) -> Rights:
    description = FirmwareDescription(
        model=product.model.name,
        hardware_revisions=("A1",),
        version="1.2.0",
        security_counter=1,
        interface_version=1,
        built_at=NOW,
        suite=load_suite(find_suite("limpet-2026-hybrid")).id,
        source_commit="",
    )
    return describe_rights(product, description)


def audit(**changes: Any) -> dict[str, Any]:
    """A report on every statement, one of them failed."""
    entries = [
        {
            "statement": one.id,
            "level": one.level.value,
            "section": one.section,
            "asks": one.asks,
            "verdict": "fail" if number == 7 else VERDICTS[number % len(VERDICTS)],
            "evidence": f"evidence number {number}",
            "means": ["network"],
            "citation": "",
            "started": "2026-11-20T10:00:00Z",
            "seconds": 0.5,
        }
        for number, one in enumerate(load_statements())
    ]
    return {
        "spec": "limpet-audit-1",
        "target": "https://192.0.2.7",
        "started": "2026-11-20T10:00:00Z",
        "seconds": 60.5,
        "totals": {"pass": 1},
        "entries": entries,
    } | changes


def bill(*components: dict[str, Any]) -> bytes:
    crypto = {
        "type": "cryptographic-asset",
        "name": "ML-DSA-65",
        "cryptoProperties": {
            "assetType": "algorithm",
            "oid": "2.16.840.1.101.3.4.3.18",
            "algorithmProperties": {
                "primitive": "signature",
                "parameterSetIdentifier": "65",
                "nistQuantumSecurityLevel": 3,
            },
        },
    }
    library = {
        "type": "library",
        "name": "h11",
        "version": "0.16.0",
        "purl": "pkg:pypi/h11@0.16.0",
        "hashes": [{"alg": "SHA-256", "content": "ab" * 32}],
        "licenses": [{"license": {"id": "MIT"}}],
        "externalReferences": [{"type": "vcs", "url": "https://example.org/"}],
    }
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
        "version": 1,
        "components": [library, crypto, *components],
    }
    return json.dumps(document).encode()


def advisory(**changes: Any) -> bytes:
    """CSAF 2.0, as far as a page reads it."""
    tracking = {
        "id": "EXI-2026-001",
        "status": "final",
        "version": "1",
        "initial_release_date": "2026-10-01T08:00:00Z",
        "current_release_date": "2026-10-05T08:00:00Z",
        "revision_history": [],
    }
    document = {
        "title": "A cookie is read too far",
        "csaf_version": "2.0",
        "category": "csaf_security_advisory",
        "aggregate_severity": {"text": "High"},
        "publisher": {"name": "Example Instruments"},
        "tracking": tracking | changes,
    }
    branch = {"category": "product_name", "name": "thermostat"}
    vulnerability = {
        "cve": "CVE-2026-0001",
        "remediations": [{"category": "vendor_fix", "details": "Install 1.2.0."}],
    }
    return json.dumps(
        {
            "document": document,
            "product_tree": {"branches": [{"name": "Example", "branches": [branch]}]},
            "vulnerabilities": [vulnerability],
        }
    ).encode()


def everything(product: Product | None = None, **changes: Any) -> Dossier:
    product = product or thermostat()
    report = json.dumps(audit()).encode()
    manifest = decode_json(
        _manifest(), ReleaseManifest, max_bytes=MANIFEST_BYTES
    )  # as a repository gives it
    advisories: tuple[Advisory, ...] = (read_advisory(advisory(), "exi-2026-001.json"),)
    key = ("ab" * 32, "ed25519")
    facts: dict[str, Any] = {
        "product": product,
        "mud": load_mud(product, Path("nowhere"), now=NOW, changed_at=NOW),
        "releases": (ReleaseRecord(release=PublishedRelease(manifest, "cd" * 32)),),
        "bill": read_bill(bill()),
        "bill_data": bill(),
        "bill_of": "1.2.0",
        "rights": rights(product),
        "evidence": read_evidence(report, now=NOW),
        "evidence_data": report,
        "advisories": advisories,
        "roles": (
            KeyRole("releases/thermostat", "says what exists", False, 2, (key,), "2027-11-01"),
            KeyRole("rollout/thermostat", "offers a release", True, 1, (key,), "2026-12-01"),
        ),
        "suite": load_suite(find_suite("limpet-2026-hybrid")),
    }
    return Dossier(**facts | changes)


def _manifest() -> bytes:
    from limpet.wire.codec import encode_json

    return encode_json(replace(make_manifest(b"image", "1.2.0"), built_at=NOW))


def pages(*dossiers: Dossier, now: datetime = NOW) -> Site:
    contact = load_contact(dossiers[0].product, Path("nowhere"), host=HOST, now=now)
    return render_site(dossiers, now=now, contact=contact.text)


def papers(*dossiers: Dossier, now: datetime = NOW) -> Site:
    contact = load_contact(dossiers[0].product, Path("nowhere"), host=HOST, now=now)
    return render_papers(dossiers, now=now, contact=contact.text)
