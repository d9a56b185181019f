"""Bills of materials (CycloneDX, ECMA-424): what a firmware is made of.

Owns how one is made from a firmware tree, written, and read, also another tool's. Judges
nothing: known vulnerabilities are `limpet.release.advisories`', the gate decides.
"""

from ._component import Component, CryptoAsset, Origin, Sbom
from ._making import SBOM_FILE, make_sbom
from ._reading import MAX_COMPONENTS, SBOM_BYTES, read_sbom

__all__ = [
    "MAX_COMPONENTS",
    "SBOM_BYTES",
    "SBOM_FILE",
    "Component",
    "CryptoAsset",
    "Origin",
    "Sbom",
    "make_sbom",
    "read_sbom",
]
