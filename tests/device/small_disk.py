"""A file system of a test's own, with a bound on bytes and on names. Takes root."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["small_disk_at"]


@contextmanager
def small_disk_at(place: Path, *, size: int, names: int) -> Iterator[Path]:
    """The new directory `place`, on a file system of `size` bytes and `names` inodes."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small file system")
    place.mkdir()
    options = f"size={size},nr_inodes={names}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "limpet-test", str(place)]
    subprocess.run(mount, check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
