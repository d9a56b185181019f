"""The real packages of limpet's own lock, as pip brings them once for this checkout."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from limpet.firmware import codec, image
from limpet.release.packages import PackageOrder

__all__ = ["CACHE", "fast_packing", "real_packages"]

CACHE = Path(__file__).parents[3] / ".venv" / "cache"
"""Goes when the environment goes; its files are held to the lock's hashes at each use."""


def real_packages() -> PackageOrder:
    """For this machine, from limpet's lock."""
    return PackageOrder(cache=CACHE)


@contextmanager
def fast_packing() -> Iterator[None]:
    """Images are packed less tightly: half a minute of CPU less for each with real packages, and
    3 s for each without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image, "pack_group", lambda data, level: codec.pack_group(data, level=1))
        yield
