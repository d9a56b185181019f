"""The device that a delta begins from: what is read of it is what is there, in any order."""

import random
from pathlib import Path

import pytest

from limpet.errors import Rejected
from limpet.firmware.old_image import OldDevice

SIZE = 100_003


@pytest.fixture
def image(tmp_path: Path) -> tuple[Path, bytes]:
    """Longer than the part of it that is firmware."""
    data = random.Random(7).randbytes(SIZE + 5000)  # noqa: S311 - no secret
    path = tmp_path / "device"
    path.write_bytes(data)
    return path, data[:SIZE]


def test_any_read_in_any_order_gives_the_bytes_that_are_there(image: tuple[Path, bytes]) -> None:
    """Short ones, which are served from what was read before, and long ones."""
    path, data = image
    old, at = OldDevice(path, SIZE), 0
    draw = random.Random(8)  # noqa: S311 - no secret
    for _ in range(4000):
        if draw.random() < 0.1:
            at = draw.randrange(SIZE)
        length = draw.choice((1, 7, 300, 4096, 16383, 16384, 16385, 50_000))
        assert old.read(at, length) == data[at : at + length]
        at = max(0, min(at + draw.randrange(-length, length + 1), SIZE - 1))
    old.close()


def test_nothing_behind_the_firmware_is_given(image: tuple[Path, bytes]) -> None:
    path, data = image
    old = OldDevice(path, SIZE)
    assert old.read(SIZE - 10, 4000) == data[-10:]
    assert old.read(SIZE - 10, 40_000) == data[-10:]
    assert old.read(SIZE, 10) == b""
    old.close()


def test_a_device_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as refused:
        OldDevice(tmp_path / "none", SIZE)
    assert refused.value.reason == "unreadable-slot"
    old = OldDevice(tmp_path, SIZE)  # opens, and cannot be read
    with pytest.raises(Rejected) as refused:
        old.read(0, 10)
    assert refused.value.reason == "unreadable-slot"
    old.close()


def test_a_device_that_is_shorter_than_it_says_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "device"
    path.write_bytes(b"short")
    old = OldDevice(path, SIZE)
    assert old.read(2, 10) == b"ort"
    assert old.read(2, 50_000) == b"ort"
    old.close()
