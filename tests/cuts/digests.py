"""What boot finds when it hashes a slot, remembered while not a file of the tree has changed.

Owns the shortcut that lets tens of thousands of states be looked at: they share a few dozen trees,
and hashing one takes longer than everything else that a start does. A tree counts as unchanged
while every entry below it is the same inode with the same size, mode and times, of which the
kernel sets one (ctime) at every write whatever a program does. Each `EVERY`-th time the device's
own code hashes all the same, and what was remembered must be right. What boot makes of a digest is
boot's own.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from limpet.device.boot import _choice
from limpet.firmware.tree import digest_tree

__all__ = ["Digests", "remembered"]

MOST = 64
EVERY = 50

_Signature = tuple[tuple[str, int, int, int, int, int], ...]


class Digests:
    """`digest_tree` with a memory of `MOST` trees; `hashed` and `recalled` count."""

    def __init__(self, digest: Callable[[Path], str] = digest_tree) -> None:
        self._digest = digest
        self._known: dict[tuple[int, int], tuple[_Signature, str]] = {}
        self.hashed = self.recalled = 0

    def digest(self, path: Path) -> str:
        """As `digest_tree`, errors too. Raises `AssertionError` if a memory was wrong."""
        try:
            status = path.lstat()
            signature = tuple(_signature(str(path), ""))
        except OSError:
            return self._digest(path)  # which says what is wrong
        place = status.st_dev, status.st_ino
        known, found = self._known.pop(place, ((), ""))
        is_known = known == signature and found != ""
        self.recalled += is_known
        if not is_known or self.recalled % EVERY == 0:
            now = self._digest(path)
            self.hashed += 1
            assert not is_known or now == found, f"{path} changed and kept its times"
            found = now
        while len(self._known) >= MOST:
            self._known.pop(next(iter(self._known)))
        self._known[place] = signature, found  # the newest last
        return found


@contextmanager
def remembered() -> Iterator[Digests]:
    """Boot's choices in this process use a memory."""
    digests = Digests()
    with patch.object(_choice, "digest_tree", digests.digest):
        yield digests


def _signature(base: str, prefix: str) -> Iterator[tuple[str, int, int, int, int, int]]:
    with os.scandir(f"{base}/{prefix}") as found:
        entries = sorted(found, key=lambda one: one.name)
    for one in entries:
        at = one.stat(follow_symlinks=False)
        name = f"{prefix}{one.name}"
        yield name, at.st_ino, at.st_mode, at.st_size, at.st_mtime_ns, at.st_ctime_ns
        if one.is_dir(follow_symlinks=False):
            yield from _signature(base, f"{name}/")
