"""Opening a release for the gate: its image unpacked and verified, the release before it found.

Owns the temporary directory, and which images the gate can look into: a tree, a block image that
holds the tree and nothing else, and a bundle that holds such a block image and nothing else.
Leaves nothing behind, and touches no file of product or release.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from limpet.errors import Unavailable
from limpet.firmware.tree import digest_tree
from limpet.product import PRODUCT_FILE
from limpet.release._build import Built, load_built
from limpet.release._current import load_current
from limpet.release._interface import newest_before
from limpet.release.gate._past import ADVISORIES
from limpet.release.gate._rauc import load_believed
from limpet.release.gate._subject import Before, Subject
from limpet.release.sbom import unpack_image

__all__ = ["AGE", "open_subject"]

_SHOWN = 6
_FORMS = (
    "build it with --form tree, with --form block and no packer, or as a bundle of RAUC's with one"
    " image; devices that ask for the gate's word take no other"
)

AGE = timedelta(days=7)
"""How old the data on known vulnerabilities may be: what became known since is not in it."""


@contextlib.contextmanager
def open_subject(
    product: Path,
    release: Path,
    *,
    now: datetime,
    repository: Path | None = None,
    root: Path | None = None,
    advisories: Path | None = None,
    advisories_age: timedelta = AGE,
    tests: Path | None = None,
) -> Iterator[Subject]:
    """The release in `release`, built from `product`, with its image unpacked.

    The release before it comes from `repository`, verified from `root`; what was published of the
    product's vulnerabilities lies beside it. Raises `Rejected` for an image that is not the
    manifest's, `Unavailable` for one that the gate cannot look into whole and for a directory that
    holds no product, and as `load_current`.
    """
    if not (product / PRODUCT_FILE).is_file():
        raise Unavailable(
            f"{product} is no product's directory: there is no {product / PRODUCT_FILE}",
            hint="give the directory that the release was built from",
        )
    built = load_built(release)
    with tempfile.TemporaryDirectory(prefix="limpet-gate-") as work:
        yield Subject(
            product=product,
            release=release,
            tree=_unpack(built, product, Path(work)),
            now=now,
            before=_before(built, repository, root),
            advisories=advisories,
            advisories_age=advisories_age,
            tests=tests,
            published=repository.parent / ADVISORIES if repository is not None else None,
        )


def _unpack(built: Built, product: Path, work: Path) -> Path:
    """The whole of what a device gets, as a tree: what the gate does not see, it has not judged."""
    image = built.manifest.image
    if image.kind == "bundle":
        believed = load_believed(product)
        unpacked = unpack_image(built.image, image, work, unpack_bundle=believed.unpack)
        believed.verify(unpacked.bundle)
    else:
        unpacked = unpack_image(built.image, image, work)
    if unpacked.around:
        shown = ", ".join(ascii(name)[1:-1] for name in unpacked.around[:_SHOWN])
        more = ", …" if len(unpacked.around) > _SHOWN else ""
        raise Unavailable(
            f"inconclusive: a system lies around the firmware in this image ({shown}{more}), and"
            " the gate cannot start that to see what it opens",
            hint=_FORMS,
        )
    digest_tree(unpacked.tree)  # no links, no devices: a rule would follow them out of the image
    return unpacked.tree


def _before(built: Built, repository: Path | None, root: Path | None) -> Before | None:
    if repository is None or root is None:
        return None
    manifest = built.manifest
    current = load_current(repository, root=root, model=manifest.model)
    signed = {name: file.hashes["sha256"] for name, file in current.targets.targets.items()}
    older = newest_before(repository, signed, model=manifest.model, version=manifest.version)
    return Before(older)
