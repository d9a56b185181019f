"""Opening a release for the gate: its image unpacked and verified, the release before it found.

Owns the temporary directory. Leaves nothing behind, and touches no file of product or release.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from limpet.errors import Rejected
from limpet.firmware.image import range_reader
from limpet.firmware.installation import install_image
from limpet.release._build import Built, load_built
from limpet.release._current import load_current
from limpet.release._interface import newest_before
from limpet.release.gate._subject import Before, Subject

__all__ = ["AGE", "open_subject"]

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

    The release before it comes from `repository`, verified from `root`.
    Raises `Rejected` for an image that is not the manifest's, and as `load_current`.
    """
    built = load_built(release)
    if built.manifest.image.kind != "tree":
        raise Rejected(
            "wrong-kind",
            "the gate looks into images of directories only",
            hint="judge the same product built with --form tree, then build the form that you ship",
        )
    with tempfile.TemporaryDirectory(prefix="limpet-gate-") as work:
        slot = Path(work) / "tree"
        image = built.manifest.image
        install_image(image, range_reader(built.image), slot, journal=Path(work) / "journal")
        yield Subject(
            product=product,
            release=release,
            tree=slot,
            now=now,
            before=_before(built, repository, root),
            advisories=advisories,
            advisories_age=advisories_age,
            tests=tests,
        )


def _before(built: Built, repository: Path | None, root: Path | None) -> Before | None:
    if repository is None or root is None:
        return None
    manifest = built.manifest
    current = load_current(repository, root=root, model=manifest.model)
    signed = {name: file.hashes["sha256"] for name, file in current.targets.targets.items()}
    older = newest_before(repository, signed, model=manifest.model, version=manifest.version)
    return Before(older)
