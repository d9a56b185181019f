"""The target of deltas: any bytes as a file, and any instructions behind sound packing.

Owns the promise: a reader makes the signed groups or says `bad-delta`, and whoever goes on at a
later group gets the same as whoever read from the first one.
"""

import hashlib
import lzma
from collections.abc import Callable

from limpet.errors import Rejected
from limpet.firmware.delta import (
    COPY,
    DELTA_MAGIC,
    FILTERS,
    LITERAL,
    PATCH,
    ZERO,
    DeltaReader,
    put_varint,
)
from limpet.wire.release import DELTA_INDEX_BYTES, Delta, Group, Image

__all__ = ["delta_seeds", "read_delta"]

OLD = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(64))  # 2 KiB
NEW = OLD[:700] + b"new" + bytes(100) + OLD[650:1200] + bytes(byte ^ 1 for byte in OLD[1200:1500])
GROUPS = (1024, len(NEW) - 1024)


class _Memory:
    """Bytes as a `ReadRange` and an `OldImage`."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size = data, len(data)

    def read(self, offset: int, length: int) -> bytes:
        """Exactly these bytes, as far as there are any."""
        assert offset >= 0, "asked for bytes before the first one"
        return self.data[offset : offset + length]


def read_delta(data: bytes) -> None:
    """The first byte says what the others are: a file with a long index, or instructions."""
    kind, rest = data[:1], data[1:]
    if kind == b"s":
        _judge(*_sealed(_packed(rest)))
    elif kind == b"p":
        _judge(*_sealed(rest))
    else:
        length = min(len(data), 1 + int.from_bytes(data[:2], "big") % 512)
        _judge(data, length)


def delta_seeds() -> dict[str, bytes]:
    """A sound delta in the three forms that `read_delta` takes."""
    code = bytearray()
    for kind, length, turn in (
        (COPY, 700, 0),
        (LITERAL, 3, None),
        (ZERO, 100, None),
        (COPY, 221, -153),
        (COPY, 329, 0),
        (PATCH, 300, 0),
    ):
        put_varint(code, length << 2 | kind)
        if turn is not None:
            put_varint(code, turn << 1 if turn >= 0 else (-turn << 1) - 1)
    differences = bytes((new - old) % 256 for new, old in zip(NEW[-300:], OLD[1200:], strict=False))
    plain = len(code).to_bytes(2, "big") + bytes((0, 3)) + code + b"new" + differences
    packed = _packed(plain)
    whole, index = _sealed(packed)
    return {
        "streams": b"s" + plain,
        "segment": b"p" + packed,
        "file": whole,
        "index": whole[:index],
    }


def _packed(data: bytes) -> bytes:
    """A segment: two bytes each for the lengths of code and literals, then the three streams."""
    code, literals = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
    body = data[4:]
    streams = (body[:code], body[code : code + literals], body[code + literals :])
    out = bytearray()
    parts = [lzma.compress(s, lzma.FORMAT_RAW, filters=FILTERS) if s else b"" for s in streams]
    for part, stream in zip(parts, streams, strict=True):
        put_varint(out, len(part))
        put_varint(out, len(stream))
    return bytes(out) + b"".join(parts)


def _sealed(segment: bytes) -> tuple[bytes, int]:
    """The file of one segment with a true index, and the index's length."""
    index = bytearray(DELTA_MAGIC)
    put_varint(index, len(GROUPS))
    put_varint(index, len(segment))
    index += hashlib.sha256(segment).digest()
    return bytes(index) + segment, len(index)


def _judge(data: bytes, index_bytes: int) -> None:
    index_bytes = min(max(index_bytes, 1), DELTA_INDEX_BYTES)
    delta = Delta(
        base_version="1.0.0",
        base_tree_sha256="0" * 64,
        base_size=len(OLD),
        path=f"deltas/{'0' * 64}.delta",
        size=len(data),
        index_bytes=index_bytes,
        index_sha256=hashlib.sha256(data[:index_bytes]).hexdigest(),
    )
    pieces = (NEW[: GROUPS[0]], NEW[GROUPS[0] :])
    image = Image(
        path=f"images/{'0' * 64}.img",
        packed=len(GROUPS),
        size=len(NEW),
        codec="zlib",
        groups=tuple(
            Group(packed=1, size=len(piece), sha256=hashlib.sha256(piece).hexdigest())
            for piece in pieces
        ),
        tree_sha256="0" * 64,
    )

    def begun() -> Callable[[int], bytes]:
        return DeltaReader(delta, image, _Memory(data).read, _Memory(OLD)).read

    read = begun()
    first = _told(read, 0)
    assert first in (None, pieces[0])
    second = _told(read, 1) if first is not None else None
    assert second in (None, pieces[1])
    if second is not None:
        assert _told(begun(), 1) == second, "it goes on otherwise than it began"


def _told(read: Callable[[int], bytes], number: int) -> bytes | None:
    try:
        return read(number)
    except Rejected as error:
        if error.reason != "bad-delta":
            raise
        return None
