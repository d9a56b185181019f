"""Deltas: the groups of a new image, made from the old image and a few bytes.

Owns the format's reading side (docs/delta-format.md) and its limits. Sans-I/O: the delta's bytes
and the old image come through callables, groups go out. Yields nothing but bytes that have the
signed hash of the full image's group, so a delta can save bytes and never change one.

    1 the index has the signed hash and length, and describes exactly the image's groups
    2 a segment has the hash that the index names, before a byte of it is unpacked
    3 unpacking is bounded by this format, never by what the bytes claim
    4 an instruction stays within its group, its streams and the old image
    5 the group has its signed hash
"""

import hashlib
import lzma
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from limpet.errors import Rejected
from limpet.firmware.adding import add_bytes
from limpet.firmware.image import ReadRange
from limpet.wire.release import Delta, Group, Image

__all__ = [
    "CODE_BYTES",
    "COPY",
    "DELTA_MAGIC",
    "FILTERS",
    "LITERAL",
    "PATCH",
    "SEGMENT_BYTES",
    "STREAM_BYTES",
    "ZERO",
    "DeltaReader",
    "OldImage",
    "Segment",
    "SegmentReader",
    "parse_index",
    "put_varint",
]

DELTA_MAGIC = b"limpet-delta-1\n"
STREAM_BYTES = 4 << 20
"""Longest stream of differences or literal bytes in one segment, unpacked."""
CODE_BYTES = 1 << 20
"""Longest stream of instructions in one segment, unpacked."""
SEGMENT_BYTES = 2 * STREAM_BYTES + CODE_BYTES + (64 << 10)
"""Longest segment in transport."""
MAX_VARINT_BYTES = 9

COPY, PATCH, LITERAL, ZERO = range(4)
"""What an instruction makes bytes of: old ones, old ones plus a difference, new ones, nothing."""

FILTERS: Sequence[dict[str, int]] = (
    {"id": lzma.FILTER_LZMA2, "dict_size": STREAM_BYTES, "lc": 3, "lp": 0, "pb": 2},
)
"""Raw LZMA2: its window is this format's and no matter of the bytes that are read."""

_HASH = 32


class OldImage(Protocol):
    """The uncompressed stream that a delta begins from."""

    @property
    def size(self) -> int:
        """Its bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes, within `size`. Raises `Rejected`."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of groups that are packed together."""

    first: int  # group
    groups: int
    offset: int  # in the delta's file
    packed: int  # bytes
    sha256: bytes  # of the packed bytes


def parse_index(data: bytes, delta: Delta, image: Image) -> tuple[Segment, ...]:
    """The segments of `delta`, which cover the groups of `image` once and in order.

    Raises `Rejected("bad-delta")`.
    """
    if len(data) != delta.index_bytes or hashlib.sha256(data).hexdigest() != delta.index_sha256:
        raise _bad("its index is not the signed one")
    if not data.startswith(DELTA_MAGIC):
        raise _bad("it is not a delta of this version")
    at, first, offset = len(DELTA_MAGIC), 0, len(data)
    segments: list[Segment] = []
    while at < len(data):
        groups, at = _varint(data, at)
        packed, at = _varint(data, at)
        digest = data[at : at + _HASH]
        at += _HASH
        if not groups or len(digest) != _HASH or not 0 < packed <= SEGMENT_BYTES:
            raise _bad("its index is malformed")
        segments.append(Segment(first, groups, offset, packed, digest))
        first, offset = first + groups, offset + packed
    if first != len(image.groups) or offset != delta.size:
        raise _bad("its index does not describe the image")
    return tuple(segments)


class SegmentReader:
    """Makes the groups of one segment, in order. Holds its streams, at most 9 MiB."""

    def __init__(self, packed: bytes, segment: Segment, *, begins: int) -> None:
        """Verify and unpack; `begins` is the new stream's offset of the first group.

        Raises `Rejected("bad-delta")`.
        """
        if len(packed) != segment.packed or hashlib.sha256(packed).digest() != segment.sha256:
            raise _bad("a segment is not the one of its index")
        at, lengths = 0, []
        for limit in (CODE_BYTES, STREAM_BYTES, STREAM_BYTES):
            stored, at = _varint(packed, at)
            size, at = _varint(packed, at)
            if size > limit:
                raise _bad("a stream is longer than allowed")
            lengths.append((stored, size))
        if at + sum(stored for stored, _ in lengths) != len(packed):
            raise _bad("a segment has another length than its streams")
        streams = []
        for stored, size in lengths:
            streams.append(_unpack(packed[at : at + stored], size))
            at += stored
        self._code, self._literals, self._differences = streams
        self._at = self._literal = self._difference = self._shift = 0
        self._begins = begins

    def make(self, size: int, old: OldImage | None) -> bytes:
        """The next group, of `size` bytes; without `old` it is passed over, and empty.

        Raises `Rejected("bad-delta")` and as `old.read`.
        """
        made, piece, done = bytearray(), b"", 0  # no list: a million pieces of one byte are legal
        code, at, origin = self._code, self._at, self._begins + self._shift
        while done < size:
            made += piece
            word, at = _varint(code, at)
            kind, length = word & 3, word >> 2
            if not 0 < length <= size - done:
                raise _bad("an instruction leaves its group")
            if kind in (COPY, PATCH):
                turn, at = _varint(code, at)
                origin += (turn >> 1) ^ -(turn & 1)
                piece = self._make_old(kind, origin + done, length, old)
            else:
                piece = self._make_new(kind, length, old)
            done += length
        self._at, self._shift = at, origin - self._begins
        self._begins += size
        if not made:
            return piece  # most groups are one: it is not copied again
        made += piece
        return bytes(made)

    def finish(self) -> None:
        """That nothing is left over. Raises `Rejected("bad-delta")`."""
        used = (self._at, self._literal, self._difference)
        if used != (len(self._code), len(self._literals), len(self._differences)):
            raise _bad("a segment holds more than its groups need")

    def _make_new(self, kind: int, length: int, old: OldImage | None) -> bytes:
        """Bytes that are not the old image's; streams move on, if it is passed over, too."""
        if kind == ZERO:
            return bytes(length) if old is not None else b""
        begins, self._literal = self._literal, self._literal + length
        if self._literal > len(self._literals):
            raise _bad("it holds too few bytes")
        return self._literals[begins : self._literal] if old is not None else b""

    def _make_old(self, kind: int, offset: int, length: int, old: OldImage | None) -> bytes:
        """Old bytes, with their differences if it is a patch; as above."""
        begins = self._difference
        if kind == PATCH:
            self._difference += length
            if self._difference > len(self._differences):
                raise _bad("it holds too few differences")
        if old is None:
            return b""
        if not 0 <= offset <= old.size - length:
            raise _bad("it reads outside of the old image")
        piece = old.read(offset, length)
        if len(piece) != length:
            raise _bad("the old image is shorter than it says")
        if kind == COPY:
            return piece
        return add_bytes(piece, self._differences[begins : self._difference])


@dataclass(frozen=True, slots=True)
class _Made:
    """A group that was made, or why it was not, while its hash is counted."""

    index: int
    data: bytes = b""
    digest: Future[bytes] | None = None
    error: Rejected | None = None

    def verified(self, group: Group) -> bytes:
        """Its bytes. Raises `Rejected("bad-delta")`, and as `error`."""
        if self.error is not None or self.digest is None:
            raise self.error or _bad("a group was not made")
        if len(self.data) != group.size or self.digest.result().hex() != group.sha256:
            raise _bad("it makes other bytes than those that were signed")
        return self.data


class DeltaReader:
    """The groups of `image` by way of `delta`, from any group on and then in order.

    Holds a segment's streams and two groups: while one is hashed, in a thread, the next one of the
    same segment is made. That asks the old image and never the network.
    """

    def __init__(self, delta: Delta, image: Image, read_delta: ReadRange, old: OldImage) -> None:
        """Nothing is read yet. Raises `Rejected("wrong-base")` if `old` has another size."""
        if old.size != delta.base_size:
            raise Rejected("wrong-base", f"a delta from {delta.base_size} bytes, not {old.size}")
        self._delta, self._image, self._read_delta, self._old = delta, image, read_delta, old
        self._segments: tuple[Segment, ...] | None = None
        self._segment: Segment | None = None
        self._reader: SegmentReader | None = None
        self._next = 0
        self._ahead: _Made | None = None
        self._hashing = ThreadPoolExecutor(1, thread_name_prefix="hash")  # ends with the reader

    def read(self, index: int) -> bytes:
        """Group `index`, verified. Raises `Rejected("bad-delta")` and as what it reads from."""
        made, self._ahead = self._ahead, None
        if made is None or made.index != index:
            made = self._make(index)
        if made.error is None and self._reader is not None:
            try:
                self._ahead = self._make(self._next)
            except Rejected as error:
                self._ahead = _Made(self._next, error=error)
        return made.verified(self._image.groups[index])

    def _make(self, index: int) -> _Made:
        segment, reader = self._seek(index)
        group = self._image.groups[index]
        while self._next < index:
            reader.make(self._image.groups[self._next].size, None)
            self._next += 1
        data = reader.make(group.size, self._old)
        self._next += 1
        if self._next == _end(segment):
            reader.finish()
            self._reader = None
        return _Made(index, data, self._hashing.submit(_digest, data))

    def _seek(self, index: int) -> tuple[Segment, SegmentReader]:
        """The segment that holds group `index`, and a reader that has not gone past it."""
        segment, reader = self._segment, self._reader
        if segment is None or reader is None or not self._next <= index < _end(segment):
            segment = next(s for s in self._index() if index < _end(s))
            packed = self._read_delta(segment.offset, segment.packed)
            begins = sum(group.size for group in self._image.groups[: segment.first])
            reader = SegmentReader(packed, segment, begins=begins)
            self._segment, self._reader, self._next = segment, reader, segment.first
        return segment, reader

    def _index(self) -> tuple[Segment, ...]:
        if self._segments is None:
            data = self._read_delta(0, self._delta.index_bytes)
            self._segments = parse_index(data, self._delta, self._image)
        return self._segments


def put_varint(out: bytearray, value: int) -> None:
    """Append `value` (0 or more) in groups of 7 bits, the lowest first (LEB128)."""
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    if at < len(data) and (byte := data[at]) < 0x80:  # most are short, and there are many
        return byte, at + 1
    value = shift = 0
    for byte in data[at : at + MAX_VARINT_BYTES]:
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _bad("a number in it has no end")


def _unpack(packed: bytes, size: int) -> bytes:
    """Exactly `size` bytes and not one more, whatever `packed` says."""
    if not size:
        if packed:
            raise _bad("an empty stream has content")
        return b""
    stream = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=FILTERS)
    try:
        data = stream.decompress(packed, size)
        while len(data) < size and not stream.eof and not stream.needs_input:
            data += stream.decompress(b"", size - len(data))
        # The end marker may still be unread: asking for a byte more must give none.
        more = b"" if stream.eof else stream.decompress(b"", 1)
    except lzma.LZMAError as error:
        raise _bad("a stream does not unpack") from error
    if len(data) != size or more or not stream.eof or stream.unused_data:
        raise _bad("a stream has another size than it says")
    return data


def _end(segment: Segment) -> int:
    return segment.first + segment.groups


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _bad(what: str) -> Rejected:
    return Rejected("bad-delta", f"the delta cannot be used: {what}")
