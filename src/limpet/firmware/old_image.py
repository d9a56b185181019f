"""What runs now, as the uncompressed stream that it was installed from: read, never written.

Owns the two kinds: a tree, whose archive is never made but looked up piece by piece, and a block
device or raw image. Believes in neither: whoever makes new bytes of them verifies those. What
cannot be read is `Rejected`, not `Unavailable`: a bad sector stays, and waiting for it would keep a
device from the whole image for ever.
"""

import os
from bisect import bisect_right
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.firmware.archive import END, MAGIC, frame_entry
from limpet.firmware.tree import Entry, walk_tree

__all__ = ["OldDevice", "OldTree"]

_WINDOW_BYTES = 16 << 10


class OldTree:
    """The archive stream (`limpet.firmware.archive`) of the tree at `path`; close it in the end."""

    def __init__(self, path: Path) -> None:
        """Look at every name and size. Raises `Rejected("tampered-tree" | "unreadable-slot")`."""
        self._path = path
        self._entries: list[Entry] = []
        self._begins: list[int] = []
        at = len(MAGIC)
        try:
            for entry in walk_tree(path):
                self._entries.append(entry)
                self._begins.append(at)
                at += len(frame_entry(entry)) + entry.size
        except Unavailable as error:
            raise Rejected("unreadable-slot", error.message) from error
        self._end = at
        self._open: tuple[str, int] | None = None

    @property
    def size(self) -> int:
        """Bytes of the stream."""
        return self._end + len(END)

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on; fewer only at the end of the stream.

        Raises `Rejected("tampered-tree")` if a file is shorter than it was, "unreadable-slot".
        """
        made: list[bytes] = []
        end = min(offset + length, self.size)
        while offset < end:
            piece = self._piece(offset, end - offset)
            made.append(piece)
            offset += len(piece)
        return b"".join(made)

    def close(self) -> None:
        """Close the file that is open."""
        opened, self._open = self._open, None
        if opened is not None:
            os.close(opened[1])

    def _piece(self, offset: int, length: int) -> bytes:
        """At least one byte, at most `length`: of a frame or of one file."""
        if offset < len(MAGIC):
            return MAGIC[offset : offset + length]
        if offset >= self._end:
            return END
        number = bisect_right(self._begins, offset) - 1
        entry, within = self._entries[number], offset - self._begins[number]
        frame = frame_entry(entry)
        if within < len(frame):
            return frame[within : within + length]
        within -= len(frame)
        wanted = min(length, entry.size - within)
        piece = self._pread(entry, wanted, within)
        if not piece:
            raise Rejected("tampered-tree", f"{entry.name} is shorter than it was")
        return piece

    def _pread(self, entry: Entry, length: int, offset: int) -> bytes:
        try:
            return os.pread(self._descriptor(entry.name), length, offset)
        except OSError as error:
            raise _unreadable(self._path / entry.name, error) from error

    def _descriptor(self, name: str) -> int:
        """One file is open at a time: most instructions read where the one before did."""
        if self._open is None or self._open[0] != name:
            self.close()
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            self._open = name, os.open(self._path / name, flags)
        return self._open[1]


class OldDevice:
    """The first `size` bytes of the block device or file at `path`; close it in the end.

    Most reads are of a few bytes and lie close together, so a little more is read at once and kept.
    """

    def __init__(self, path: Path, size: int) -> None:
        """Raises `Rejected("unreadable-slot")`."""
        self._path, self.size = path, size
        self._begins, self._kept = 0, b""
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _unreadable(path, error) from error

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` on; fewer only at the end. Raises as `__init__`."""
        within = offset - self._begins
        if 0 <= within <= len(self._kept) - length:
            return self._kept[within : within + length]
        if length >= _WINDOW_BYTES:
            return self._pread(offset, length)
        self._begins, self._kept = offset, self._pread(offset, _WINDOW_BYTES)
        return self._kept[:length]

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)

    def _pread(self, offset: int, length: int) -> bytes:
        length = max(min(length, self.size - offset), 0)
        try:
            data = os.pread(self._descriptor, length, offset)
            while len(data) < length and (
                more := os.pread(self._descriptor, length - len(data), offset + len(data))
            ):
                data += more
        except OSError as error:
            raise _unreadable(self._path, error) from error
        return data


def _unreadable(path: Path, error: OSError) -> Rejected:
    return Rejected(
        "unreadable-slot", f"cannot read {path}: {(error.strerror or 'failed').lower()}"
    )
