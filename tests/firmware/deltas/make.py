"""Makes the test vectors of the delta format beside it: `python -m tests.firmware.deltas.make`.

Written against docs/delta-format.md by hand, instruction by instruction, and not by limpet's
encoder, so that a change of that cannot change what the format means. `vectors.json` says of each
file what a reader must do with it. The hostile ones carry right hashes: a signer could sign them.
"""

import hashlib
import json
import lzma
from pathlib import Path

HERE = Path(__file__).parent
MAGIC = b"limpet-delta-1\n"
FILTERS = [{"id": lzma.FILTER_LZMA2, "dict_size": 4 << 20, "lc": 3, "lp": 0, "pb": 2}]
COPY, PATCH, LITERAL, ZERO = range(4)

OLD = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(192))  # 6,144 bytes
SHIFTED = bytes((byte + (1 if at % 32 == 0 else 0)) % 256 for at, byte in enumerate(OLD[5000:6000]))
NEW = OLD[:3000] + b"a word that is new" + OLD[2990:4000] + bytes(68) + SHIFTED
GROUPS = (4096, len(NEW) - 4096)


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def turn(value: int) -> bytes:
    """A change of the shift: zigzag, then a varint."""
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def op(kind: int, length: int, change: int | None = None) -> bytes:
    return varint(length << 2 | kind) + (b"" if change is None else turn(change))


def pack(stream: bytes) -> bytes:
    return lzma.compress(stream, lzma.FORMAT_RAW, filters=FILTERS) if stream else b""


def segment(code: bytes, literals: bytes = b"", differences: bytes = b"") -> bytes:
    streams = (code, literals, differences)
    packed = [pack(stream) for stream in streams]
    sizes = b"".join(varint(len(p)) + varint(len(s)) for p, s in zip(packed, streams, strict=True))
    return sizes + b"".join(packed)


def delta(*segments: tuple[int, bytes], magic: bytes = MAGIC) -> tuple[bytes, int]:
    """The file, and the length of its index."""
    index = magic + b"".join(
        varint(groups) + varint(len(data)) + hashlib.sha256(data).digest()
        for groups, data in segments
    )
    return index + b"".join(data for _, data in segments), len(index)


WORD = b"a word that is new"
FIRST = op(COPY, 3000, 0) + op(LITERAL, 18) + op(COPY, 1010, -28) + op(ZERO, 68)
SECOND = op(PATCH, 1000, 904 + 28)  # shift 904: new 4096 is old 5000
DIFFERENCES = bytes((new - old) % 256 for new, old in zip(NEW[4096:], OLD[5000:6000], strict=True))
BOTH = segment(FIRST + SECOND, WORD, DIFFERENCES)


def long_stream() -> bytes:
    """A segment whose literals say 18 bytes and unpack to 64 MiB."""
    bomb = pack(bytes(64 << 20))
    code = pack(FIRST + SECOND)
    diff = pack(DIFFERENCES)
    head = varint(len(code)) + varint(len(FIRST + SECOND)) + varint(len(bomb)) + varint(18)
    return head + varint(len(diff)) + varint(len(DIFFERENCES)) + code + bomb + diff


def huge_size() -> bytes:
    """A segment that announces 2^62 bytes of literals."""
    return varint(1) + varint(1) + varint(4) + varint(1 << 62) + varint(0) + varint(0) + bytes(5)


GOOD = {
    "good-one-segment": delta((2, BOTH)),
    "good-two-segments": delta(
        (1, segment(FIRST, WORD)), (1, segment(op(PATCH, 1000, 904), b"", DIFFERENCES))
    ),
    "good-all-literal": delta((2, segment(op(LITERAL, 4096) + op(LITERAL, 1000), NEW))),
}
BAD = {
    "bad-magic": delta((2, BOTH), magic=b"limpet-delta-2\n"),
    "bad-index-too-few-groups": delta((1, BOTH)),
    "bad-index-no-groups": delta((2, BOTH), (0, BOTH)),
    "bad-copy-behind-the-old-image": delta((2, segment(op(COPY, 4096, 3000), WORD))),
    "bad-copy-before-the-old-image": delta((2, segment(op(COPY, 4096, -1)))),
    "bad-instruction-leaves-its-group": delta((2, segment(op(COPY, 5096, 0)))),
    "bad-instruction-of-no-bytes": delta((2, segment(op(COPY, 0, 0) * 8))),
    "bad-code-ends-early": delta((2, segment(FIRST, WORD))),
    "bad-varint-without-end": delta((2, segment(b"\xff" * 64))),
    "bad-too-few-literals": delta((2, segment(FIRST + SECOND, WORD[:-1], DIFFERENCES))),
    "bad-too-few-differences": delta((2, segment(FIRST + SECOND, WORD, DIFFERENCES[:-1]))),
    "bad-literals-left-over": delta((2, segment(FIRST + SECOND, WORD + b"!", DIFFERENCES))),
    "bad-code-left-over": delta((2, segment(FIRST + SECOND + op(ZERO, 1), WORD, DIFFERENCES))),
    "bad-other-bytes": delta((2, segment(FIRST + SECOND, WORD.upper(), DIFFERENCES))),
    "bad-stream-bomb": delta((2, long_stream())),
    "bad-stream-too-long": delta((2, huge_size())),
    "bad-stream-not-lzma": delta((2, BOTH[:-8] + b"\xff" * 8)),
    "bad-segment-longer-than-its-streams": delta((2, BOTH + b"\0")),
}


def main() -> None:
    vectors = []
    for name, (data, index_bytes) in (GOOD | BAD).items():
        (HERE / f"{name}.delta").write_bytes(data)
        index = hashlib.sha256(data[:index_bytes]).hexdigest()
        vectors.append(
            {
                "file": f"{name}.delta",
                "index_bytes": index_bytes,
                "index_sha256": index,
                "accepted": name in GOOD,
            }
        )
    (HERE / "old.bin").write_bytes(OLD)
    (HERE / "new.bin").write_bytes(NEW)
    listed = {"groups": GROUPS, "vectors": vectors}
    (HERE / "vectors.json").write_text(json.dumps(listed, indent=1) + "\n")


if __name__ == "__main__":
    main()
