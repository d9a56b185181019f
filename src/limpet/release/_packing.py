"""From matches to the delta's file: instructions, streams, segments, index.

Owns the format's writing side (docs/delta-format.md); the reading side is `limpet.firmware.delta`.
Segments are packed by as many threads as there are processors: LZMA works outside of Python's lock.
The same pair of images gives the same bytes.
"""

import hashlib
import lzma
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from limpet.firmware.delta import (
    CODE_BYTES,
    COPY,
    DELTA_MAGIC,
    FILTERS,
    LITERAL,
    PATCH,
    STREAM_BYTES,
    ZERO,
    put_varint,
)
from limpet.release._matching import Match
from limpet.release._seeds import Bytes

__all__ = ["PackedSegment", "index_bytes", "pack_segments"]

_SPLIT = 256
"""Equal bytes in a row that are worth an instruction of their own within a stretch."""
_FULL = 2 << 20
"""A segment that holds this many bytes is closed: what a cut can cost is little of a delta."""
_ZEROS = 64
_MOST_GROUPS = 1024
_PACKING = ({**FILTERS[0], "preset": 9 | lzma.PRESET_EXTREME},)


@dataclass(frozen=True, slots=True)
class PackedSegment:
    """A segment as it lies in the file."""

    groups: int
    data: bytes


@dataclass(slots=True)
class _Streams:
    """A segment being filled."""

    shift: int = 0
    groups: int = 0
    code: bytearray = field(default_factory=bytearray)
    literals: list[bytes] = field(default_factory=list)
    differences: list[bytes] = field(default_factory=list)
    filled: int = 0


def pack_segments(
    old: Bytes, new: Bytes, matches: Sequence[Match], groups: Sequence[int], *, workers: int
) -> Iterator[PackedSegment]:
    """The segments in order. `groups` are the sizes of the new image's groups."""
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(_pack, _segments(old, new, matches, groups))


def index_bytes(segments: Sequence[PackedSegment]) -> bytes:
    """The beginning of the file."""
    out = bytearray(DELTA_MAGIC)
    for segment in segments:
        put_varint(out, segment.groups)
        put_varint(out, len(segment.data))
        out += hashlib.sha256(segment.data).digest()
    return bytes(out)


def _segments(
    old: Bytes, new: Bytes, matches: Sequence[Match], groups: Sequence[int]
) -> Iterator[_Streams]:
    steps = _steps(old, new, matches)
    step = next(steps, None)
    at, streams = 0, _Streams()
    for size in groups:
        # A group never takes more than its own bytes and a tenth for instructions.
        tight = len(streams.code) + (size >> 2) > CODE_BYTES
        full = streams.filled >= _FULL or streams.filled + size > STREAM_BYTES
        if streams.groups and (full or tight or streams.groups >= _MOST_GROUPS):
            yield streams
            streams = _Streams()
        end = at + size
        while at < end and step is not None:
            kind, begin, source, length = step
            part = min(length, end - begin)
            _put(streams, old, new, (kind, begin, source, part))
            at = begin + part
            rest = (kind, begin + part, source + part, length - part)
            step = rest if part < length else next(steps, None)
        streams.groups += 1
    if streams.groups:
        yield streams


def _put(streams: _Streams, old: Bytes, new: Bytes, step: tuple[int, int, int, int]) -> None:
    kind, begin, source, length = step
    put_varint(streams.code, length << 2 | kind)
    if kind in (COPY, PATCH):
        turn = source - begin - streams.shift
        put_varint(streams.code, turn << 1 if turn >= 0 else (-turn << 1) - 1)
        streams.shift = source - begin
    piece = new[begin : begin + length]
    if kind == PATCH:
        streams.differences.append((piece - old[source : source + length]).tobytes())
    elif kind == LITERAL:
        streams.literals.append(piece.tobytes())
    streams.filled += length if kind in (PATCH, LITERAL) else 0


def _steps(old: Bytes, new: Bytes, matches: Sequence[Match]) -> Iterator[tuple[int, int, int, int]]:
    """(kind, new, old, length) for all of the new image."""
    at = 0
    for match in [*matches, Match(len(new), 0, 0)]:
        yield from _new_bytes(new, at, match.new)
        yield from _alike(old, new, match)
        at = match.new + match.length


def _new_bytes(new: Bytes, begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Literal bytes; long rows of zeros apart from them."""
    if begin == end:
        return
    filled = np.flatnonzero(new[begin:end]) + begin
    at = begin
    edges = np.flatnonzero(np.diff(filled) > _ZEROS)
    firsts = filled[np.r_[0, edges + 1]].tolist() if len(filled) else []
    lasts = filled[np.r_[edges, len(filled) - 1]].tolist() if len(filled) else []
    for first, last in zip(firsts, lasts, strict=True):
        if first - at > _ZEROS:
            yield ZERO, at, 0, first - at
            at = first
        yield LITERAL, at, 0, last + 1 - at
        at = last + 1
    if end > at:
        yield (ZERO if end - at > _ZEROS else LITERAL), at, 0, end - at


def _alike(old: Bytes, new: Bytes, match: Match) -> Iterator[tuple[int, int, int, int]]:
    """Stretches with differences, and long equal ones between them."""
    shift, at, end = match.old - match.new, match.new, match.new + match.length
    left = new[at:end]
    other = np.flatnonzero(left != old[match.old : match.old + match.length]) + at
    edges = np.flatnonzero(np.diff(other) > _SPLIT)
    firsts = other[np.r_[0, edges + 1]].tolist() if len(other) else []
    lasts = other[np.r_[edges, len(other) - 1]].tolist() if len(other) else []
    for first, last in zip(firsts, lasts, strict=True):
        if first - at > _SPLIT:
            yield COPY, at, at + shift, first - at
            at = first
        stop = last + 1
        yield PATCH, at, at + shift, stop - at
        at = stop
    if end > at:
        yield COPY, at, at + shift, end - at


def _pack(streams: _Streams) -> PackedSegment:
    parts = (bytes(streams.code), b"".join(streams.literals), b"".join(streams.differences))
    packed = [
        lzma.compress(part, lzma.FORMAT_RAW, filters=_PACKING) if part else b"" for part in parts
    ]
    out = bytearray()
    for whole, small in zip(parts, packed, strict=True):
        put_varint(out, len(small))
        put_varint(out, len(whole))
    return PackedSegment(streams.groups, bytes(out) + b"".join(packed))
