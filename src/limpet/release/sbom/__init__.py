"""Bills of materials (CycloneDX, ECMA-424): what a firmware is made of.

Owns how one is made from a firmware tree, written, and read, also another tool's. Judges
nothing: known vulnerabilities are `limpet.release.advisories`', the gate decides.
"""

from limpet.wire.release import SBOM_BYTES

from ._comparing import Difference, Problem, compare_sbom
from ._component import Component, CryptoAsset, Origin, Sbom
from ._making import SBOM_FILE, make_sbom
from ._native import marked_libraries
from ._reading import MAX_COMPONENTS, read_sbom
from ._system import load_system
from ._unpacking import Unpacked, unpack_image

__all__ = [
    "MAX_COMPONENTS",
    "SBOM_BYTES",
    "SBOM_FILE",
    "Component",
    "CryptoAsset",
    "Difference",
    "Origin",
    "Problem",
    "Sbom",
    "Unpacked",
    "compare_sbom",
    "load_system",
    "make_sbom",
    "marked_libraries",
    "read_sbom",
    "unpack_image",
]
