"""Files of a release for a scan: the product's source, and what is in the image.

Owns which files are looked at, and bounds. Third-party packages are named by their lock and
compared with it; only secrets are looked for in them, not algorithms.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import Rejected
from limpet.release.gate._subject import Subject
from limpet.storage import read_bounded

__all__ = ["IN_IMAGE", "Scanned", "scan_image", "scan_source"]

IN_IMAGE = "image: "
"""Before the name of a file that is in the image, for people."""

FILE_BYTES = 64 << 20
MAX_FILES = 50_000
_PASSED_OVER = frozenset(
    {".git", "__pycache__", ".venv", ".hypothesis", ".pytest_cache", ".mypy_cache", ".ruff_cache"}
)


@dataclass(frozen=True, slots=True)
class Scanned:
    """One file. `where` is how a person names it."""

    where: str
    name: str
    data: bytes


def scan_source(subject: Subject) -> Iterator[Scanned]:
    """Every file of the product's directory, its tests too."""
    yield from _files(subject.product, "")


def scan_image(subject: Subject, part: str) -> Iterator[Scanned]:
    """Every file of the image below the directory `part`; none where there is none."""
    yield from _files(subject.tree / part, f"{IN_IMAGE}{part}/")


def _files(base: Path, prefix: str) -> Iterator[Scanned]:
    count = 0
    for path in sorted(base.rglob("*")):
        relative = path.relative_to(base)
        if _PASSED_OVER.intersection(relative.parts) or path.is_symlink() or not path.is_file():
            continue
        count += 1
        if count > MAX_FILES:
            raise Rejected("too-large", f"{base} holds more than {MAX_FILES} files")
        # A name need not be text; a report is.
        name = os.fsencode(relative).decode(errors="backslashreplace")
        yield Scanned(f"{prefix}{name}", name, read_bounded(path, max_bytes=FILE_BYTES))
