"""The real packages of limpet's own lock, as pip brings them once for this checkout."""

from pathlib import Path

from limpet.release.packages import PackageOrder

__all__ = ["CACHE", "real_packages"]

CACHE = Path(__file__).parents[3] / ".venv" / "cache"
"""Goes when the environment goes; its files are held to the lock's hashes at each use."""


def real_packages() -> PackageOrder:
    """For this machine, from limpet's lock."""
    return PackageOrder(cache=CACHE)
