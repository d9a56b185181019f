"""Deltas: the test vectors, hostile segments that a signer could sign, and what a cut costs."""

import hashlib
import json
import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from limpet.errors import Rejected
from limpet.firmware.delta import DeltaReader
from limpet.wire.release import Delta, Group, Image

VECTORS = Path(__file__).parent / "deltas"
LISTED = json.loads((VECTORS / "vectors.json").read_text())
OLD, NEW = (VECTORS / "old.bin").read_bytes(), (VECTORS / "new.bin").read_bytes()


@dataclass
class Memory:
    """Bytes behind a `ReadRange` and an `OldImage`, and what was asked of them."""

    data: bytes
    asked: list[tuple[int, int]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        self.asked.append((offset, length))
        return self.data[offset : offset + length]


def make_image(new: bytes, groups: list[int]) -> Image:
    described, at = [], 0
    for size in groups:
        digest = hashlib.sha256(new[at : at + size]).hexdigest()
        described.append(Group(packed=1, size=size, sha256=digest))
        at += size
    return Image(
        path=f"images/{'0' * 64}.img",
        packed=len(groups),
        size=len(new),
        codec="zlib",
        groups=tuple(described),
        tree_sha256="0" * 64,
    )


def describe(data: bytes, index_bytes: int, **changes: Any) -> Delta:
    fields: dict[str, Any] = {
        "base_version": "1.0.0",
        "base_tree_sha256": "0" * 64,
        "base_size": len(OLD),
        "path": f"deltas/{'0' * 64}.delta",
        "size": len(data),
        "index_bytes": index_bytes,
        "index_sha256": hashlib.sha256(data[:index_bytes]).hexdigest(),
    }
    return Delta(**(fields | changes))


def load(name: str) -> tuple[bytes, Delta]:
    vector = next(v for v in LISTED["vectors"] if v["file"] == f"{name}.delta")
    data = (VECTORS / vector["file"]).read_bytes()
    return data, describe(data, vector["index_bytes"], index_sha256=vector["index_sha256"])


def read_all(data: bytes, delta: Delta, old: bytes = OLD) -> bytes:
    image = make_image(NEW, LISTED["groups"])
    reader = DeltaReader(delta, image, Memory(data).read, Memory(old))
    return b"".join(reader.read(number) for number in range(len(image.groups)))


GOOD = [v["file"].removesuffix(".delta") for v in LISTED["vectors"] if v["accepted"]]
BAD = [v["file"].removesuffix(".delta") for v in LISTED["vectors"] if not v["accepted"]]


@pytest.mark.parametrize("name", GOOD)
def test_a_good_vector_makes_the_new_image(name: str) -> None:
    assert read_all(*load(name)) == NEW


@pytest.mark.parametrize("name", BAD)
def test_a_hostile_vector_is_refused_though_its_hashes_are_right(name: str) -> None:
    data, delta = load(name)
    tracemalloc.start()
    with pytest.raises(Rejected) as refused:
        read_all(data, delta)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.reason == "bad-delta"
    assert peak < 8 << 20, "what it claims decided over memory"


def test_every_flipped_byte_is_found() -> None:
    """The index by its signed hash, a segment by the index; before anything is unpacked."""
    data, delta = load("good-two-segments")
    for at in range(len(data)):
        broken = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(Rejected) as refused:
            read_all(broken, delta)
        assert "index" in refused.value.message


def test_every_truncation_is_found() -> None:
    data, delta = load("good-one-segment")
    for length in range(len(data)):
        with pytest.raises(Rejected):
            read_all(data[:length], delta)


@pytest.mark.parametrize("at", [0, 3500, 5500])
def test_another_old_image_never_makes_other_bytes(at: int) -> None:
    data, delta = load("good-one-segment")
    other = OLD[:at] + bytes([OLD[at] ^ 1]) + OLD[at + 1 :]
    with pytest.raises(Rejected, match="other bytes than those that were signed"):
        read_all(data, delta, other)


def test_an_old_image_of_another_size_is_refused_before_a_byte_is_read() -> None:
    data, delta = load("good-one-segment")
    wire = Memory(data)
    with pytest.raises(Rejected) as refused:
        DeltaReader(delta, make_image(NEW, LISTED["groups"]), wire.read, Memory(OLD + b"!"))
    assert (refused.value.reason, wire.asked) == ("wrong-base", [])


def test_a_resumed_delta_reads_only_the_segments_that_are_left() -> None:
    data, delta = load("good-two-segments")
    wire, old = Memory(data), Memory(OLD)
    reader = DeltaReader(delta, make_image(NEW, LISTED["groups"]), wire.read, old)
    assert reader.read(1) == NEW[4096:]
    index, second = wire.asked
    assert index == (0, delta.index_bytes)
    assert sum(second) == len(data)
    assert old.asked == [(5000, 1000)], "a group that is there already was made again"


def test_a_group_in_the_midst_of_a_segment_is_made_without_those_before() -> None:
    data, delta = load("good-one-segment")
    old = Memory(OLD)
    reader = DeltaReader(delta, make_image(NEW, LISTED["groups"]), Memory(data).read, old)
    assert reader.read(1) == NEW[4096:]
    assert old.asked == [(5000, 1000)]


def test_a_group_can_be_asked_for_again() -> None:
    data, delta = load("good-two-segments")
    reader = DeltaReader(delta, make_image(NEW, LISTED["groups"]), Memory(data).read, Memory(OLD))
    assert [reader.read(number) for number in (0, 1, 0, 1)] == [NEW[:4096], NEW[4096:]] * 2


def test_a_group_that_cannot_be_made_costs_none_before_it() -> None:
    """The next group is made while this one is hashed: what is wrong with it is told of it."""
    data, delta = load("good-one-segment")
    other = OLD[:5500] + bytes([OLD[5500] ^ 1]) + OLD[5501:]
    image = make_image(NEW, LISTED["groups"])
    reader = DeltaReader(delta, image, Memory(data).read, Memory(other))
    assert reader.read(0) == NEW[:4096]
    with pytest.raises(Rejected, match="other bytes than those that were signed"):
        reader.read(1)


def test_an_old_image_that_fails_ahead_is_told_of_the_group_that_needs_it() -> None:
    data, delta = load("good-one-segment")

    class Bad(Memory):
        def read(self, offset: int, length: int) -> bytes:
            if offset >= 5000:
                raise Rejected("unreadable-slot", "a bad sector")
            return super().read(offset, length)

    image = make_image(NEW, LISTED["groups"])
    reader = DeltaReader(delta, image, Memory(data).read, Bad(OLD))
    assert reader.read(0) == NEW[:4096]
    with pytest.raises(Rejected, match="a bad sector"):
        reader.read(1)


def test_the_network_is_never_asked_ahead() -> None:
    data, delta = load("good-two-segments")
    wire = Memory(data)
    reader = DeltaReader(delta, make_image(NEW, LISTED["groups"]), wire.read, Memory(OLD))
    reader.read(0)
    assert max(map(sum, wire.asked)) < len(data), "a segment was fetched that nobody asked for"
    reader.read(1)
    assert max(map(sum, wire.asked)) == len(data)
