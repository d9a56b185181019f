"""Writing an image into a slot, so that a cut at any point costs at most one group.

Owns the partial tree `<slot>.part`, the journal of finished groups, and the swap.
Never touches the slot before the whole new tree is written, durable and equal to
its signed digest; never holds more than a group in memory.

The order, per group: verify, write, fsync files and directories, journal. At the
end: digest of the whole tree, swap by rename, journal removed. A journal may lie
(a cut after a lost directory entry, a disk that lost more): what does not fit it,
or the digest at the end, finds it, and the installation begins again from nothing, once.
"""

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.firmware.archive import ArchiveReader, Begin, ReaderState
from limpet.firmware.image import PACKED_BYTES, ReadGroup, ReadRange, group_reader
from limpet.firmware.placing import InstalledTree, is_tree, put_in_place
from limpet.firmware.syncing import sync_together
from limpet.firmware.tree import MAX_TREE_BYTES, Entry, Kind, digest_tree
from limpet.storage import (
    advice_for,
    read_bounded,
    reason_for,
    remove_durably,
    remove_tree,
    sync_directory,
    write_atomic,
)
from limpet.wire.codec import Message, decode_json
from limpet.wire.release import Digest, Image

__all__ = [
    "InstalledTree",
    "Progress",
    "discard_partial",
    "install_image",
    "is_tree",
    "put_in_place",
    "verify_description",
]

_JOURNAL_BYTES = 16 << 10
_NOT_WHAT_WAS_WRITTEN = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EINVAL, errno.EIO}
)
"""What opening a file of the partial tree says if that is not what the journal says it is: the
same would be said for ever."""

_SPARE_BYTES = 1 << 20
"""Free space asked for beyond the image: directories, journal, the device's own logs."""

Progress = Callable[[int, int], None]
"""Called with (groups done, groups in all) after each group that is written."""


class _Journal(Message, frozen=True, kw_only=True):
    image_sha256: Digest  # of the signed description, so that a journal fits one image only
    groups: Annotated[int, Meta(ge=0)]
    reader: ReaderState


def install_image(
    image: Image,
    read_range: ReadRange,
    slot: Path,
    *,
    journal: Path,
    read_group: ReadGroup | None = None,
    on_progress: Progress | None = None,
) -> InstalledTree:
    """Make `slot` hold exactly the tree of `image`, going on from `journal` where it fits.

    `image` must come from a verified manifest. `read_group` is another way to its verified groups
    than `read_range` (a delta). On any error the slot is what it was.
    Raises `Rejected("tampered-image" | "tampered-tree" | "malformed")` and `Unavailable` (disk
    full, peer gone); after `Unavailable` a later call goes on.
    """
    verify_description(image)
    if image.kind != "tree":
        raise Rejected("malformed", "not an image for a slot that is a directory")
    if is_tree(slot, image.tree_sha256):
        _clear(_part_of(slot), journal)
        return InstalledTree(slot, image.tree_sha256)
    writer = _Writer(image, slot, journal)
    read = read_group or group_reader(image, read_range)
    try:
        if not (writer.resume() and writer.completes(read, on_progress)):
            writer.restart()
            writer.run(read, on_progress)
            if writer.digest() != image.tree_sha256:
                raise Rejected("tampered-tree", "the unpacked tree is not the signed one")
        return writer.swap()
    except Rejected as error:
        # A bad peer must not cost what is verified and written.
        if not writer.fetching or error.reason == "tampered-image":
            writer.discard()
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            writer.discard()
        why = (error.strerror or "failed").lower()
        raise Unavailable(
            f"cannot write slot {slot.name}: {why}",
            hint=advice_for(error),
            reason=reason_for(error),
        ) from error


def discard_partial(slot: Path, *, journal: Path) -> None:
    """Forget an installation that was begun and is not wanted any more. Raises `Unavailable`."""
    _clear(_part_of(slot), journal)


def verify_description(image: Image) -> None:
    """That sizes add up and stay in their bounds. Raises `Rejected("malformed")`."""
    if any(group.packed > PACKED_BYTES for group in image.groups):
        raise Rejected("malformed", "a group of the image is larger than allowed")
    packed, size = sum(g.packed for g in image.groups), sum(g.size for g in image.groups)
    if (packed, size) != (image.packed, image.size):
        raise Rejected("malformed", "the sizes of the image's groups do not add up")
    if size > 2 * MAX_TREE_BYTES:
        raise Rejected("malformed", "the image is larger than firmware may be")


def _make_directory(path: Path) -> None:
    """A directory of mode 0755, whatever the umask is; through a descriptor, because Landlock
    judges an open and never a chmod(2)."""
    path.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, 0o755)
    finally:
        os.close(descriptor)


def _part_of(slot: Path) -> Path:
    return slot.with_name(f"{slot.name}.part")


def _clear(part: Path, journal: Path) -> None:
    remove_durably(journal)  # first: a journal without its tree would lie
    try:
        remove_tree(part)
    except OSError as error:
        raise Unavailable(
            f"cannot remove {part}: {(error.strerror or 'failed').lower()}",
            reason=reason_for(error),
        ) from error


class _Writer:
    """One installation under way; `OSError` leaves it to `install_image`."""

    def __init__(self, image: Image, slot: Path, journal: Path) -> None:
        self._image, self._slot, self._journal = image, slot, journal
        self._part = _part_of(slot)
        self._key = hashlib.sha256(msgspec.json.encode(image, order="sorted")).hexdigest()
        self._reader = ArchiveReader()
        self._groups = 0
        self.fetching = False
        self._file: int | None = None
        self._fresh: list[Path] = []  # files written to since the last checkpoint
        self._touched: set[Path] = set()

    def resume(self) -> bool:
        """Take up a fitting journal; whether there is one that the partial tree fits."""
        found = self._read_journal()
        if found is None or not found.groups:
            return False
        if self._part.is_symlink() or not self._part.is_dir():
            return False
        self._groups, self._reader = found.groups, ArchiveReader(found.reader)
        try:
            if self._reader.state.remaining:
                self._reopen()
        except OSError as error:
            if error.errno not in _NOT_WHAT_WAS_WRITTEN:
                raise
            return False
        return True

    def completes(self, read_group: ReadGroup, on_progress: Progress | None) -> bool:
        """As `run`; whether the tree is then the signed one. If it is not, what an earlier call
        left is at fault, and not yet the image."""
        try:
            self.run(read_group, on_progress)
        except Rejected:
            if self.fetching:
                raise
            return False
        return self.digest() == self._image.tree_sha256

    def restart(self) -> None:
        """Begin from nothing, with enough room for the whole tree."""
        self.discard()
        self._groups, self._reader = 0, ArchiveReader()
        free = os.statvfs(self._slot.parent)
        if free.f_bavail * free.f_frsize < self._image.size + _SPARE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        _make_directory(self._part)
        sync_directory(self._part.parent)

    def run(self, read_group: ReadGroup, on_progress: Progress | None) -> None:
        """Fetch, verify and write the groups that are missing."""
        groups = self._image.groups
        try:
            for index in range(self._groups, len(groups)):
                self.fetching = True
                data = read_group(index)
                self.fetching = False
                self._write(data)
                self._groups += 1
                self._checkpoint()
                if on_progress is not None:
                    on_progress(self._groups, len(groups))
            self._reader.finish()
        finally:
            self._close()

    def digest(self) -> str:
        """The digest of the tree as it lies on disk; empty if it cannot be one."""
        try:
            return digest_tree(self._part)
        except LimpetError:
            return ""

    def swap(self) -> InstalledTree:
        """Put the finished tree in the slot's place, durably."""
        sync_together([self._part, *(p for p in self._part.rglob("*") if p.is_dir())])
        put_in_place(self._part, self._slot)
        remove_durably(self._journal)
        return InstalledTree(self._slot, self._image.tree_sha256)

    def discard(self) -> None:
        """Remove what was written so far."""
        self._close()
        _clear(self._part, self._journal)

    def _write(self, data: bytes) -> None:
        for event in self._reader.feed(data):
            if isinstance(event, Begin):
                self._close()
                self._begin(event.entry)
            else:
                self._append(event.data)
        if not self._reader.state.remaining:
            self._close()

    def _begin(self, entry: Entry) -> None:
        path = self._part / entry.name
        self._touched.add(path.parent)
        try:
            if entry.kind is Kind.DIRECTORY:
                _make_directory(path)
                return
            mode = 0o755 if entry.kind is Kind.EXECUTABLE else 0o644
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            self._file = os.open(path, flags, mode)
            self._fresh.append(path)
            os.fchmod(self._file, mode)
        except (FileNotFoundError, NotADirectoryError, FileExistsError, IsADirectoryError) as error:
            raise Rejected("malformed", "an entry of the image has no directory") from error

    def _reopen(self) -> None:
        """The file that the journal broke off in, cut back to what is known to be durable."""
        path = self._part / self._reader.state.last
        self._file = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        self._fresh.append(path)
        done = self._written()
        if not 0 <= done <= os.fstat(self._file).st_size:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        os.ftruncate(self._file, done)
        os.lseek(self._file, done, os.SEEK_SET)

    def _written(self) -> int:
        """Bytes of the open file that lie in the groups before this one."""
        state = self._reader.state
        return state.size - state.remaining

    def _append(self, data: bytes) -> None:
        if self._file is None:
            raise Rejected("malformed", "content without a file in the image")
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    def _checkpoint(self) -> None:
        sync_together(self._fresh)
        sync_together(sorted(self._touched))
        self._fresh = [] if self._file is None else self._fresh[-1:]
        self._touched.clear()
        record = _Journal(image_sha256=self._key, groups=self._groups, reader=self._reader.state)
        write_atomic(self._journal, msgspec.json.encode(record))

    def _close(self) -> None:
        if self._file is not None:
            descriptor, self._file = self._file, None
            os.close(descriptor)

    def _read_journal(self) -> _Journal | None:
        try:
            data = read_bounded(self._journal, max_bytes=_JOURNAL_BYTES)
            found = decode_json(data, _Journal, max_bytes=_JOURNAL_BYTES)
        except (Rejected, Unavailable):
            return None
        fits = found.image_sha256 == self._key and found.groups <= len(self._image.groups)
        return found if fits else None
