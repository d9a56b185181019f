"""From what was found in a tree to the bytes of a CycloneDX 1.6 document (ECMA-424).

Owns the mapping to cyclonedx-python-lib's model, and what makes a document the same each time: the
serial number is made from the content, the timestamp is the release's, everything is sorted.
"""

import uuid
from collections.abc import Iterable, Mapping

import msgspec
from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.bom_ref import BomRef
from cyclonedx.model.component import Component as CdxComponent
from cyclonedx.model.component import ComponentType
from cyclonedx.model.contact import OrganizationalContact, OrganizationalEntity
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import (
    DisjunctiveLicense,
    License,
    LicenseAcknowledgement,
    LicenseExpression,
)
from cyclonedx.model.lifecycle import LifecyclePhase, PredefinedLifecycle
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.spdx import is_expression, is_supported_id
from packageurl import PackageURL

import limpet
from limpet.release.sbom._component import Component
from limpet.release.sbom._crypto_writing import crypto_components, crypto_edges, settle_crypto
from limpet.release.sbom._cryptography import CryptoInventory
from limpet.release.sbom._parts import Inventory, Part
from limpet.wire.release import Image

__all__ = ["write_document"]

NAMESPACE = uuid.UUID("7a0a9c52-5f0c-5b5c-9f0e-2b6b3f3f6f5e")
"""Of the serial numbers (RFC 9562, 5.5): the name is the SHA-256 of the document without one."""

_LINKS = {
    "source": ExternalReferenceType.VCS,
    "source code": ExternalReferenceType.VCS,
    "repository": ExternalReferenceType.VCS,
    "homepage": ExternalReferenceType.WEBSITE,
    "issues": ExternalReferenceType.ISSUE_TRACKER,
    "issue tracker": ExternalReferenceType.ISSUE_TRACKER,
    "bug tracker": ExternalReferenceType.ISSUE_TRACKER,
    "changelog": ExternalReferenceType.RELEASE_NOTES,
    "documentation": ExternalReferenceType.DOCUMENTATION,
}
_ALGORITHMS = frozenset(one.value for one in HashAlgorithm)
NOT_CONTAINED = (
    "the Python interpreter, its standard library, and the OpenSSL of its module ssl",
    "the C library, the kernel and the rest of the operating system",
)


def write_document(inventory: Inventory, crypto: CryptoInventory, image: Image) -> bytes:
    """The document of a firmware whose image is `image`."""
    subject = _subject(inventory, image)
    written = {part.component.reference: _part(part) for part in inventory.parts}
    edges = {part.component.reference: part.needs for part in inventory.parts}
    edges[str(subject.bom_ref.value)] = inventory.roots
    edges |= crypto_edges(crypto)
    maker = _organisation(inventory)
    bom = Bom(
        components=[*written.values(), *crypto_components(crypto)],
        dependencies=_dependencies(edges),
        metadata=BomMetaData(
            timestamp=inventory.description.built_at,
            lifecycles=[PredefinedLifecycle(LifecyclePhase.BUILD)],
            tools=ToolRepository(components=[_tool()]),
            component=subject,
            manufacturer=maker,
            supplier=maker,
        ),
        serial_number=uuid.UUID(int=0),
    )
    text = JsonV1Dot6(bom).output_as_string()
    document = msgspec.json.decode(text)
    settle_crypto(document["components"])
    del document["serialNumber"]
    serial = uuid.uuid5(NAMESPACE, _digest(document))
    return _encode({**document, "serialNumber": serial.urn})


def _encode(document: Mapping[str, object]) -> bytes:
    packed = msgspec.json.encode(document, order="sorted")
    return msgspec.json.format(packed, indent=1) + b"\n"


def _digest(document: Mapping[str, object]) -> str:
    import hashlib

    return hashlib.sha256(_encode(document)).hexdigest()


def _tool() -> CdxComponent:
    return CdxComponent(name="limpet", version=limpet.__version__, type=ComponentType.APPLICATION)


def _organisation(inventory: Inventory) -> OrganizationalEntity:
    urls = [XsUri(inventory.maker_url)] if inventory.maker_url else []
    return OrganizationalEntity(name=inventory.maker, urls=urls)


def _subject(inventory: Inventory, image: Image) -> CdxComponent:
    made = inventory.description
    purl = PackageURL("generic", name=made.model, version=made.version)
    facts = [("hardware-revision", one) for one in made.hardware_revisions]
    facts += [
        ("interface-version", str(made.interface_version)),
        ("security-counter", str(made.security_counter)),
        ("suite", str(made.suite)),
        ("image-kind", image.kind),
        ("tree-sha256", inventory.files.digest_of_tree),
        ("requires-python", inventory.needed.python),
    ]
    facts += [("source-commit", made.source_commit)] if made.source_commit else []
    facts += [("requires-libc", inventory.needed.libc)] if inventory.needed.libc else []
    facts += [("requires-machine", inventory.needed.machine)] if inventory.needed.machine else []
    missing = NOT_CONTAINED if not inventory.has_system else ()
    if not inventory.has_packages:
        missing = (*missing, "the packages that limpet's runtime imports")
    facts += [("not-contained", one) for one in missing]
    facts += [("not-listed", one) for one in inventory.unlisted]
    return CdxComponent(
        name=made.model,
        version=made.version,
        type=ComponentType.FIRMWARE,
        bom_ref=purl.to_string(),
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=image.path[7:71])],
        supplier=_organisation(inventory),
        properties=_properties(facts),
    )


def _part(part: Part) -> CdxComponent:
    one = part.component
    facts = [("origin", one.origin.value), *part.facts]
    facts += [("path", path) for path in one.paths]
    facts += [("content-sha256", one.content_sha256)] if one.content_sha256 else []
    return CdxComponent(
        name=one.name,
        version=one.version or None,
        type=ComponentType(one.kind),
        bom_ref=one.reference,
        purl=PackageURL.from_string(one.purl) if one.purl else None,
        description=part.summary or None,
        hashes=_hashes(one),
        licenses=_licences(one.licences),
        authors=[
            OrganizationalContact(name=name or None, email=mail or None)
            for name, mail in part.authors
        ],
        external_references=[
            ExternalReference(type=_LINKS[label], url=XsUri(url))
            for label, url in part.links
            if label in _LINKS
        ],
        properties=_properties(facts),
    )


def _hashes(one: Component) -> list[HashType]:
    """Those that CycloneDX has a name for."""
    return [
        HashType(alg=HashAlgorithm(name), content=content)
        for name, content in sorted(one.hashes.items())
        if name in _ALGORITHMS
    ]


def _licences(stated: tuple[str, ...]) -> list[License]:
    """One expression, or a list of licences by id or by name: CycloneDX has them apart."""
    declared = LicenseAcknowledgement.DECLARED
    if len(stated) == 1 and not is_supported_id(stated[0]) and is_expression(stated[0]):
        return [LicenseExpression(stated[0], acknowledgement=declared)]
    return [
        DisjunctiveLicense(id=one, acknowledgement=declared)
        if is_supported_id(one)
        else DisjunctiveLicense(name=one, acknowledgement=declared)
        for one in stated
    ]


def _properties(facts: Iterable[tuple[str, str]]) -> list[Property]:
    return [Property(name=f"limpet:{name}", value=value) for name, value in facts]


def _dependencies(edges: Mapping[str, Iterable[str]]) -> list[Dependency]:
    return [
        Dependency(BomRef(source), [Dependency(BomRef(target)) for target in targets])
        for source, targets in edges.items()
    ]
