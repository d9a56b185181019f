"""Copies of other people's software among the product's own code: no bill lists them.

Owns the signs of a copy. What lies in `app/` counts as the product's own, is looked up in no
advisories, and is imported before the packages that the lock pins. A copy that somebody
renamed and stripped of all that tells it is not found.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from limpet.release.packages import PACKAGES
from limpet.release.sbom import marked_libraries
from limpet.storage import read_bounded

__all__ = ["find_vendored"]

APP = "app"
_METADATA = re.compile(r".+\.(?:dist-info|egg-info)|PKG-INFO")
_COPIES = frozenset(
    {"_vendor", "_vendored", "vendored", "third_party", "site-packages", "dist-packages"}
)
_ARCHIVES = (".whl", ".egg", ".pyz", ".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z")
_VERSION = re.compile(rb"^__version__\s*(?::[^=\n]+)?=\s*[\"'(]", re.MULTILINE)
_VERSION_FILES = ("__init__.py", "_version.py", "version.py", "__version__.py", "__about__.py")
_SOURCE_BYTES = 4 << 20
_FILE_BYTES = 256 << 20


def find_vendored(tree: Path, module: str) -> Iterator[tuple[str, str]]:
    """Each sign, as (file of the image, what it is). `module`: the product's own, of its design."""
    base = tree / APP
    own = module.partition(".")[0]
    locked = {path.name.partition(".")[0] for path in (tree / PACKAGES).glob("*")} - {"packages"}
    for path in sorted(base.iterdir()):
        name = path.name.partition(".")[0]
        if name in locked and name != "__pycache__":
            yield f"{APP}/{path.name}", f"stands before the package {name} that the lock pins"
        elif path.is_dir() and name != own and (stated := _states_version(path)):
            yield stated.relative_to(tree).as_posix(), "is of a package with a version of its own"
    for path in sorted(base.rglob("*")):
        where = path.relative_to(tree).as_posix()
        if path.is_dir() and path.name in _COPIES:
            yield where, "is where copies of other people's packages lie"
        elif _METADATA.fullmatch(path.name):
            yield where, "comes with an installed package"
        elif path.name.lower().endswith(_ARCHIVES):
            yield where, "is packed: no bill of materials lists what is in it"
        elif path.is_file():
            data = read_bounded(path, max_bytes=_FILE_BYTES)
            yield from ((where, f"has {one} compiled into it") for one in marked_libraries(data))


def _states_version(package: Path) -> Path | None:
    files = (package / name for name in _VERSION_FILES)
    return next((one for one in files if one.is_file() and _has_version(one)), None)


def _has_version(path: Path) -> bool:
    return _VERSION.search(read_bounded(path, max_bytes=_SOURCE_BYTES)) is not None
