"""Bills of materials (CycloneDX, ECMA-424): what a firmware is made of.

Owns how one is made from a firmware tree, written, and read, also another tool's. Judges
nothing: known vulnerabilities are `limpet.release.advisories`', the gate decides.
"""

from ._component import Component, Sbom

__all__ = ["Component", "Sbom"]
