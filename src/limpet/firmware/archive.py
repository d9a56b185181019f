"""The inside of an image: a firmware tree as one deterministic stream of bytes.

Owns the framing and nothing else: it reads and writes no file. Holds regular
files and directories only, in canonical order (see `limpet.firmware.tree`); no
link, owner, time or mode but the executable bit can be expressed, so a hostile
archive has no word for leaving its tree.

The stream: `MAGIC`, then records `kind (d, f or x) | length of name (2 bytes,
big-endian) | name`, for files followed by `size (8 bytes) | content`, and at last
the byte `e` and nothing after it.

`ArchiveReader` is sans-I/O in the manner of h11: bytes in, events out, and its
whole state is a frozen value, so that an interrupted installation goes on from a
journal.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from limpet.errors import Rejected
from limpet.firmware.tree import (
    MAX_ENTRIES,
    MAX_NAME_BYTES,
    MAX_TREE_BYTES,
    Entry,
    Kind,
    verify_name,
)
from limpet.wire.codec import Message

__all__ = [
    "END",
    "MAGIC",
    "ArchiveReader",
    "Begin",
    "Content",
    "ReaderState",
    "frame_entry",
]

MAGIC = b"limpet-image-1\n"
END = b"e"
_HEAD = struct.Struct(">cH")
_SIZE = struct.Struct(">Q")
_KINDS = {kind.value: kind for kind in Kind}
_Whole = Annotated[int, Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Begin:
    """A directory, or a file whose `Content` follows until the next `Begin`."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Content:
    """The next bytes of the file that was begun last."""

    data: bytes


class ReaderState(Message, frozen=True, kw_only=True):
    """Where a reader stands between two pieces of the stream."""

    pending: bytes = b""  # received, not yet enough for a record
    started: bool = False
    last: str = ""  # name of the last entry
    size: _Whole = 0  # bytes of its content
    remaining: _Whole = 0  # bytes of it still to come
    entries: _Whole = 0
    total: _Whole = 0  # bytes of content announced so far
    finished: bool = False


def frame_entry(entry: Entry) -> bytes:
    """The record that announces `entry`; a file's content follows it."""
    name = entry.name.encode("ascii")
    head = _HEAD.pack(entry.kind.value, len(name)) + name
    return head if entry.kind is Kind.DIRECTORY else head + _SIZE.pack(entry.size)


class ArchiveReader:
    """Turns the bytes of an archive into events; holds at most one record in memory."""

    def __init__(self, state: ReaderState | None = None) -> None:
        self.state = state or ReaderState()

    def feed(self, data: bytes) -> Iterator[Begin | Content]:
        """The events in `data`. Raises `Rejected("malformed")` at the first wrong byte."""
        buffer = memoryview(self.state.pending + data)
        while buffer:
            step = self._step(buffer)
            if step is None:
                break
            event, used = step
            buffer = buffer[used:]
            if event is not None:
                yield event
        self._set(pending=bytes(buffer))

    def finish(self) -> None:
        """That the archive ended where it says. Raises `Rejected("malformed")`."""
        if not self.state.finished:
            raise Rejected("malformed", "the image ends too early")

    def _step(self, buffer: memoryview) -> tuple[Begin | Content | None, int] | None:
        if self.state.finished:
            raise Rejected("malformed", "the image goes on after its end")
        if not self.state.started:
            return self._magic(buffer)
        if self.state.remaining:
            used = min(self.state.remaining, len(buffer))
            self._set(remaining=self.state.remaining - used)
            return Content(bytes(buffer[:used])), used
        if buffer[:1] == END:
            self._set(finished=True)
            return None, 1
        return self._record(buffer)

    def _magic(self, buffer: memoryview) -> tuple[None, int] | None:
        if not MAGIC.startswith(bytes(buffer[: len(MAGIC)])):
            raise Rejected("malformed", "not a limpet image")
        if len(buffer) < len(MAGIC):
            return None
        self._set(started=True)
        return None, len(MAGIC)

    def _record(self, buffer: memoryview) -> tuple[Begin, int] | None:
        kind = _KINDS.get(bytes(buffer[:1]))
        if kind is None:
            raise Rejected("malformed", "an unknown kind of entry in the image")
        if len(buffer) < _HEAD.size:
            return None
        length = _HEAD.unpack_from(buffer)[1]
        if length > MAX_NAME_BYTES:
            raise Rejected("malformed", "a name in the image is too long")
        size_at = _HEAD.size + length
        end = size_at if kind is Kind.DIRECTORY else size_at + _SIZE.size
        if len(buffer) < end:
            return None
        name = bytes(buffer[_HEAD.size : size_at]).decode("ascii", "replace")
        size = 0 if kind is Kind.DIRECTORY else _SIZE.unpack_from(buffer, size_at)[0]
        return Begin(self._announce(Entry(name, kind, size))), end

    def _announce(self, entry: Entry) -> Entry:
        verify_name(entry.name)
        state = self.state
        if state.entries and entry.name.split("/") <= state.last.split("/"):
            raise Rejected("malformed", "the names in the image are not in order")
        total = state.total + entry.size
        if state.entries >= MAX_ENTRIES or total > MAX_TREE_BYTES:
            raise Rejected("malformed", "the image holds more than firmware may")
        self._set(
            last=entry.name,
            size=entry.size,
            remaining=entry.size,
            entries=state.entries + 1,
            total=total,
        )
        return entry

    def _set(self, **changes: object) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)
