"""The bill of materials beside a built release.

Owns its file in a release's directory. What is in it is `limpet.release.sbom`'s.
"""

import hashlib
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.release.sbom import SBOM_FILE, load_system, make_sbom
from limpet.storage import read_bounded, write_atomic
from limpet.wire.release import SBOM_BYTES, Image, ReleaseManifest

__all__ = ["add_bill", "sbom_file", "verify_bill"]


def add_bill(tree: Path, image: Image, out: Path, *, packed: bool) -> str:
    """Write the bill of the firmware `tree`, whose image is `image`, into `out`; its SHA-256.

    `packed`: a packer of the vendor's made the block image, and may have put a system around the
    tree. Raises as `make_sbom`.
    """
    system = load_system(tree.with_name("image.raw")) if packed and image.kind == "block" else ()
    data = make_sbom(tree, image, system=system)
    if len(data) > SBOM_BYTES:
        raise Rejected("too-large", f"a bill of materials of {len(data)} bytes")
    write_atomic(sbom_file(out), data, mode=0o644)
    return hashlib.sha256(data).hexdigest()


def sbom_file(out: Path) -> Path:
    """Where it lies in a release's directory."""
    return out / SBOM_FILE


def verify_bill(out: Path, manifest: ReleaseManifest) -> None:
    """That the bill in `out` is the one of its manifest. Raises `Rejected("tampered-sbom")`, and
    `Unavailable` if it is missing."""
    if not manifest.sbom:
        return
    file = sbom_file(out)
    if not file.is_file():
        raise Unavailable(f"there is no {file}", hint="the manifest names it: build it again")
    if hashlib.sha256(read_bounded(file, max_bytes=SBOM_BYTES)).hexdigest() != manifest.sbom:
        message = f"{file} is not the bill of materials of its manifest"
        raise Rejected("tampered-sbom", message, hint="build it again")
