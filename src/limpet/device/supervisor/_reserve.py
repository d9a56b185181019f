"""Room on the disk for the next update, where no app can take it.

Owns `reserve/`: `room`, a file of allocated bytes, and `names/`, empty files, each of which holds
one of the file system's places for files (inodes). Made while no app runs, and given back while
none does: in between nobody but the supervisor can touch it. Decides nothing about updates.
"""

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import Unavailable
from limpet.storage import make_directory, remove_tree, sync_directory

__all__ = ["Need", "Reserve", "measure_need"]

SPARE_BYTES, SPARE_NAMES = 4 << 20, 256
"""What the records, journals and metadata of an update take beside its tree; and what a reserve
that is made at a start leaves for everybody else."""

_GROWTH = 5 / 4  # of a release over the one that runs
_BLOCK = 4096
_DIRECTORY = "reserve"


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes, and names of files."""

    bytes: int
    names: int


def measure_need(tree: Path | None, staging: Path, *, copies: int) -> Need:
    """What an update needs beside what it has staged. `tree` is the slot that runs, where slots are
    directories; the new one is on the disk `copies` times. Raises `OSError`."""
    size, names = _measure(tree) if tree is not None else (0, 0)
    staged, staged_names = _measure(staging)
    wanted, wanted_names = int(size * copies * _GROWTH), int(names * copies * _GROWTH)
    return Need(
        bytes=2 * SPARE_BYTES + max(0, wanted - staged),
        names=2 * SPARE_NAMES + max(0, wanted_names - staged_names),
    )


class Reserve:
    """The reserve of the device at `root`."""

    def __init__(self, root: Path) -> None:
        self._place = root / _DIRECTORY

    def keep(self, need: Need, *, spare: bool) -> str:
        """Set aside what `need` says, or as much of it as there is; what is lacking, or "".

        With `spare` something is left for everybody else. What is already set aside stays, so that
        nothing is free in between. Raises `Unavailable`.
        """
        try:
            if self.is_made and self._place.stat().st_uid != os.geteuid():
                remove_tree(self._place)  # of the user who ran the device before
            make_directory(self._place / "names")
            short = self._keep_bytes(need.bytes, SPARE_BYTES if spare else 0)
            short_names = self._keep_names(need.names, SPARE_NAMES if spare else 0)
            sync_directory(self._place / "names")
            sync_directory(self._place)
        except OSError as error:
            why = (error.strerror or "failed").lower()
            raise Unavailable(f"cannot set room for updates aside: {why}") from error
        lacking = [f"{short / (1 << 20):.1f} MiB"] if short else []
        lacking += [f"{short_names} names of files"] if short_names else []
        return " and ".join(lacking)

    @property
    def is_made(self) -> bool:
        """Whether there ever was one, though it may be given back now."""
        return self._place.is_dir()

    def give_back(self) -> None:
        """Free it all, durably. Raises `Unavailable`."""
        try:
            if self.is_made:
                (self._place / "room").unlink(missing_ok=True)
                remove_tree(self._place / "names")
                sync_directory(self._place)
        except OSError as error:
            why = (error.strerror or "failed").lower()
            raise Unavailable(f"cannot give the room for updates back: {why}") from error

    def _keep_bytes(self, wanted: int, spare: int) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._place / "room", flags, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            found = os.statvfs(descriptor)
            room = max(0, found.f_bavail * found.f_frsize - spare)
            size = _grow(descriptor, size, min(wanted, size + room // _BLOCK * _BLOCK))
            if size > wanted:
                os.ftruncate(descriptor, wanted)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return max(0, wanted - size)

    def _keep_names(self, wanted: int, spare: int) -> int:
        found = os.statvfs(self._place)
        if not found.f_files:
            return 0  # a file system that makes them as they are needed
        names = self._place / "names"
        there = {int(name) for name in os.listdir(names)}
        for number in sorted(there)[wanted:]:
            (names / str(number)).unlink()
        most = len(there) + max(0, found.f_favail - spare)
        kept = min(len(there), wanted)
        for number in range(min(wanted, most) + len(there)):
            if kept >= min(wanted, most):
                break
            if number not in there:
                (names / str(number)).touch(mode=0o600, exist_ok=False)
                kept += 1
        return max(0, wanted - kept)


def _grow(descriptor: int, size: int, wanted: int) -> int:
    """Allocate up to `wanted` bytes; how many there are then. The file system needs some itself."""
    while wanted > size:
        with contextlib.suppress(OSError):
            os.posix_fallocate(descriptor, size, wanted - size)
            return wanted
        os.ftruncate(descriptor, size)
        wanted -= max(_BLOCK, (wanted - size) // 8)
    return size


def _measure(tree: Path) -> tuple[int, int]:
    """Bytes on the disk and names of `tree`, without itself; of one that is not there, nothing."""
    size = names = 0
    pending = [tree]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    names += 1
                    size += -(-entry.stat(follow_symlinks=False).st_size // _BLOCK) * _BLOCK
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(Path(entry.path))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                raise
    return size, names
