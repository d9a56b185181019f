"""Making the bill of materials of a firmware tree."""

from collections.abc import Iterable
from pathlib import Path

from limpet.release.sbom._component import Component
from limpet.wire.release import Image

__all__ = ["SBOM_FILE", "make_sbom"]

SBOM_FILE = "sbom.cdx.json"


def make_sbom(tree: Path, image: Image, *, system: Iterable[Component] | None = ()) -> bytes:
    """A CycloneDX 1.6 document, in JSON, of the firmware `tree` whose image is `image`.

    `system` are the packages of an operating system that the image holds besides; None: something
    is there that cannot be looked into, and the document says so. Everything that it says comes
    from these: the same ones give the same bytes. Raises
    `Rejected` for a tree that no build of limpet's made, or whose packages do not say what they
    are, and `Unavailable` for missing files.
    """
    # CycloneDX's library costs a quarter of a second, which only a build shall pay.
    from limpet.release.sbom._cryptography import take_inventory
    from limpet.release.sbom._parts import list_parts
    from limpet.release.sbom._writing import write_document

    return write_document(list_parts(tree, system), take_inventory(tree), image)
