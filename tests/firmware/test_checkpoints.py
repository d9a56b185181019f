"""Groups that come fast share a sync; the journal of a block slot is never ahead of the medium."""

import itertools
import os
import types
from pathlib import Path

import pytest

from limpet.errors import Unavailable
from limpet.firmware import blocks
from limpet.firmware.image import pack_file, range_reader
from limpet.firmware.verity import append_verity
from limpet.storage import write_atomic
from limpet.wire.release import Image

MIB = 1 << 20
GROUPS = 40


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Image]:
    place = tmp_path_factory.mktemp("image")
    raw, packed = place / "raw", place / "packed"
    with raw.open("wb") as file:
        file.truncate((GROUPS - 1) * MIB)
    verity = append_verity(raw)
    return packed, pack_file(raw, packed, kind="block", verity=verity)


class Medium:
    """Notes what is written, synced and journalled, in this order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, tick: float) -> None:
        self.journalled: list[int] = []
        self._written = self._synced = 0
        clock = itertools.count(0.0, tick)
        put, sync = blocks._put, os.fsync

        def noted_put(descriptor: int, data: bytes, offset: int) -> None:
            put(descriptor, data, offset)
            self._written += 1

        def noted_sync(descriptor: int) -> None:
            sync(descriptor)
            self._synced = self._written

        def noted_journal(path: Path, data: bytes) -> None:
            record = blocks.decode_json(data, blocks._Journal, max_bytes=1 << 12)
            assert record.groups <= self._synced, "the journal claims what may be lost"
            self.journalled.append(record.groups)
            write_atomic(path, data)

        monkeypatch.setattr(blocks, "_put", noted_put)
        monkeypatch.setattr(blocks, "write_atomic", noted_journal)
        monkeypatch.setattr(blocks, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
        monkeypatch.setattr(blocks.os, "fsync", noted_sync)


def install(image: tuple[Path, Image], place: Path, *, gone_at: int = GROUPS + 1) -> None:
    packed, description = image
    slot, read = place / "slot", range_reader(packed)
    slot.write_bytes(bytes(description.size))
    asked = itertools.count(1)

    def read_range(offset: int, length: int) -> bytes:
        if next(asked) > gone_at:
            raise Unavailable("the server went away")
        return read(offset, length)

    blocks.install_blocks(description, read_range, slot, journal=place / "journal")


def test_groups_that_come_fast_share_a_sync_of_at_most_sixteen(
    image: tuple[Path, Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    medium = Medium(monkeypatch, tick=0.0)
    install(image, tmp_path)
    assert medium.journalled == [16, 32, len(image[1].groups)]


def test_groups_that_come_slowly_are_each_durable_before_the_next(
    image: tuple[Path, Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    medium = Medium(monkeypatch, tick=0.6)
    install(image, tmp_path)
    assert medium.journalled == list(range(1, len(image[1].groups) + 1))


def test_what_came_before_the_server_went_away_is_durable(
    image: tuple[Path, Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    medium = Medium(monkeypatch, tick=0.0)
    with pytest.raises(Unavailable):
        install(image, tmp_path, gone_at=21)
    assert medium.journalled == [16, 21]


def test_after_a_sync_that_failed_nothing_is_journalled(
    image: tuple[Path, Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    medium = Medium(monkeypatch, tick=0.0)

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(blocks.os, "fsync", broken)
    with pytest.raises(Unavailable, match="cannot write slot"):
        install(image, tmp_path)
    assert medium.journalled == []
