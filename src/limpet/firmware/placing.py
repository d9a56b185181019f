"""A whole tree that takes the place of a slot: what the writer and the taker of trees share.

Owns the swap by rename. Knows no image and unpacks nothing: the supervisor has no need of that.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import LimpetError
from limpet.firmware.tree import digest_tree
from limpet.storage import remove_tree, sync_directory

__all__ = ["InstalledTree", "is_tree", "put_in_place"]


@dataclass(frozen=True, slots=True)
class InstalledTree:
    """A slot whose tree is durable and was found equal to its signed digest."""

    path: Path
    tree_sha256: str


def is_tree(path: Path, tree_sha256: str) -> bool:
    """Whether `path` is the tree of this digest."""
    try:
        return digest_tree(path) == tree_sha256
    except LimpetError:
        return False


def put_in_place(new: Path, slot: Path) -> None:
    """Replace `slot` by the directory `new` beside it, durably."""
    old = slot.with_name(f"{slot.name}.old")
    remove_tree(old)
    with contextlib.suppress(FileNotFoundError):
        slot.rename(old)
    new.rename(slot)
    sync_directory(slot.parent)
    remove_tree(old)
