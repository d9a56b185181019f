"""The packages of others that a firmware carries: locked by hash, for one kind of device.

Owns the way from a lock to `packages/` of a firmware tree, and what is in there
(`packages/packages.json`). Resolves nothing: which versions is the lock's word. Never builds or
runs anything of a package.
"""

from ._adding import PACKAGES, PACKAGES_FILE, Package, PackageOrder, add_packages
from ._gathering import cache_directory
from ._lock import LIMPET_LOCK, LOCK_FILE
from ._needs import RUNTIME_NEEDS
from ._target import THIS_PYTHON, Target, this_machine, this_platform

__all__ = [
    "LIMPET_LOCK",
    "LOCK_FILE",
    "PACKAGES",
    "PACKAGES_FILE",
    "RUNTIME_NEEDS",
    "THIS_PYTHON",
    "Package",
    "PackageOrder",
    "Target",
    "add_packages",
    "cache_directory",
    "this_machine",
    "this_platform",
]
