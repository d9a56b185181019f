"""The operating system around a firmware tree, as a block image really has it.

Owns looking into the file system that a vendor's packer made: squashfs, by squashfs-tools. Of any
other it can say only that it was not looked into.
"""

from pathlib import Path

from limpet.release._squashfs import is_squashfs, read_file
from limpet.release.sbom._component import Component
from limpet.release.sbom._debian import OS_RELEASE, STATUS, parse_status

__all__ = ["load_system"]


def load_system(raw: Path) -> tuple[Component, ...] | None:
    """The Debian packages in the file system `raw`; none if it holds no Debian system, and None if
    it cannot be looked into.

    Raises `Rejected("bad-dpkg-status")`, `Unavailable` without squashfs-tools.
    """
    if not is_squashfs(raw):
        return None
    status = read_file(raw, STATUS)
    # Debian has it as a link to ../usr/lib/os-release, which is not followed.
    other = "usr/lib/" + OS_RELEASE.rpartition("/")[2]
    release = read_file(raw, OS_RELEASE) or read_file(raw, other)
    return parse_status(status, release) if status else ()
