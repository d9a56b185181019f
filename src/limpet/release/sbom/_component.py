"""A component of a firmware, as every part of the release tools speaks of it.

Owns the type. Where it comes from (an SBOM of ours, or of another tool) does not show here.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Component", "CryptoAsset", "Origin", "Sbom"]


class Origin(enum.Enum):
    """Where a component came from, as limpet's own documents state it."""

    OWN = "own"  # the product's app, limpet's runtime: their makers publish advisories themselves
    PACKAGE = "package"  # locked, by hash
    BUNDLED = "bundled"  # inside a package, which says so
    SYSTEM = "system"  # of the operating system's distribution
    UNKNOWN = "unknown"  # not stated: every component of another tool's SBOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One part that came from somewhere: a package, a library, the product's own app.

    `purl` is its package URL (ECMA-427) in canonical form, with version; empty where a foreign
    SBOM gives none, and then no advisory can be matched to it.
    """

    name: str
    version: str
    purl: str = ""
    reference: str = ""  # CycloneDX's bom-ref, unique in its document
    hashes: Mapping[str, str] = field(default_factory=dict)  # hexadecimal, by "SHA-256" and so on
    licences: tuple[str, ...] = ()  # SPDX expressions or ids
    kind: str = "library"  # CycloneDX's type
    origin: Origin = Origin.UNKNOWN
    content_sha256: str = ""  # of its files in the image, see limpet.release.sbom._content
    paths: tuple[str, ...] = ()  # these files: names in the tree, directories with all below


@dataclass(frozen=True, slots=True, kw_only=True)
class CryptoAsset:
    """An entry of the cryptographic inventory."""

    name: str
    kind: str  # CycloneDX's assetType: algorithm, protocol, certificate, related-crypto-material
    reference: str = ""
    detail: str = ""  # primitive of an algorithm, version of a protocol, kind of a key
    used_by: tuple[str, ...] = ()  # files of the tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Sbom:
    """A bill of materials that was read and is whole: every reference leads to a component."""

    subject: Component  # what it is the bill of
    subject_sha256: str  # of the image that it says it describes; empty if it does not say
    components: tuple[Component, ...]  # without the cryptographic inventory
    dependencies: Mapping[str, tuple[str, ...]]  # references by reference
    serial: str = ""  # urn:uuid
    crypto: tuple[CryptoAsset, ...] = ()
    tree_sha256: str = ""  # of the installed tree, in limpet's own documents
