"""A component of a firmware, as every part of the release tools speaks of it.

Owns the type. Where it comes from (an SBOM of ours, or of another tool) does not show here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Component", "Sbom"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sbom:
    """A bill of materials that was read and is whole: every reference leads to a component."""

    subject: Component  # what it is the bill of
    subject_sha256: str  # of the image that it says it describes; empty if it does not say
    components: tuple[Component, ...]
    dependencies: Mapping[str, tuple[str, ...]]  # references by reference
    serial: str = ""  # urn:uuid
