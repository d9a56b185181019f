"""The room for updates: what is set aside nobody takes, and it comes back whole."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from tests.device.small_disk import small_disk_at

from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.device.supervisor._reserve import (
    SPARE_BYTES,
    SPARE_NAMES,
    Need,
    Reserve,
    measure_need,
)
from limpet.device.supervisor._room import Room
from limpet.device.supervisor._slots import SlotKeeper

MIB = 1 << 20
DISK, NAMES = 16 * MIB, 4096


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with a bound on names."""
    with small_disk_at(tmp_path / "disk", size=DISK, names=NAMES) as place:
        yield place


def fill(place: Path) -> None:
    """Take all the bytes and names that there are."""
    place.mkdir(exist_ok=True)
    with pytest.raises(OSError, match="No space"):
        (place / "bytes").write_bytes(bytes(2 * DISK))
    with pytest.raises(OSError, match="No space"):
        take_names(place)


def take_names(place: Path) -> None:
    for number in range(2 * NAMES):
        (place / str(number)).touch()


def test_what_is_set_aside_is_not_taken_and_is_there_when_it_is_given_back(disk: Path) -> None:
    reserve = Reserve(disk)
    assert reserve.keep(Need(bytes=8 * MIB, names=1000), spare=True) == ""
    fill(disk / "greedy")
    found = os.statvfs(disk)
    assert (found.f_bavail, found.f_favail) == (0, 0)
    reserve.give_back()
    assert reserve.is_made, "the next one would leave to the app what was set aside before"
    found = os.statvfs(disk)
    assert found.f_bavail * found.f_frsize >= 8 * MIB
    assert found.f_favail >= 1000


def test_without_a_reserve_the_same_app_takes_all(disk: Path) -> None:
    fill(disk / "greedy")
    assert (disk / "greedy" / "bytes").stat().st_size >= DISK - 2 * MIB
    assert len(os.listdir(disk / "greedy")) > NAMES - 100


def test_a_disk_that_is_nearly_full_gives_what_it_has_and_the_rest_is_said(disk: Path) -> None:
    (disk / "data").write_bytes(bytes(8 * MIB))
    lacking = Reserve(disk).keep(Need(bytes=12 * MIB, names=2 * NAMES), spare=True)
    assert "MiB and " in lacking
    found = os.statvfs(disk)
    assert SPARE_BYTES <= found.f_bavail * found.f_frsize <= SPARE_BYTES + MIB
    assert SPARE_NAMES <= found.f_favail <= SPARE_NAMES + 2
    assert Reserve(disk).keep(Need(bytes=12 * MIB, names=2 * NAMES), spare=False)
    assert os.statvfs(disk).f_bavail == 0


def test_a_reserve_that_is_there_is_changed_and_never_freed_meanwhile(disk: Path) -> None:
    reserve = Reserve(disk)
    reserve.keep(Need(bytes=4 * MIB, names=100), spare=True)
    room = (disk / "reserve" / "room").stat()
    one = (disk / "reserve" / "names" / "7").stat().st_ino
    for need in (Need(bytes=6 * MIB, names=200), Need(bytes=2 * MIB, names=50)):
        assert reserve.keep(need, spare=True) == ""
        now = (disk / "reserve" / "room").stat()
        assert (now.st_ino, now.st_size) == (room.st_ino, need.bytes)
        assert now.st_blocks * 512 == need.bytes
        assert len(os.listdir(disk / "reserve" / "names")) == need.names
        assert (disk / "reserve" / "names" / "7").stat().st_ino == one


def test_what_a_slot_needs_grows_with_it_and_less_what_is_staged(tmp_path: Path) -> None:
    tree, staging = tmp_path / "a", tmp_path / "staging"
    (tree / "deep").mkdir(parents=True)
    staging.mkdir()
    (tree / "deep" / "large").write_bytes(bytes(8 * MIB))
    empty = measure_need(None, staging, copies=2)
    once, twice = (measure_need(tree, staging, copies=n) for n in (1, 2))
    assert once.bytes - empty.bytes >= 10 * MIB
    assert twice.bytes - empty.bytes >= 20 * MIB
    assert twice.names - empty.names == 5  # two names, twice, and a quarter
    (staging / "part").write_bytes(bytes(4 * MIB))
    assert twice.bytes - measure_need(tree, staging, copies=2).bytes == 4 * MIB
    assert measure_need(tree, tmp_path / "none", copies=1) == once


class _Slots:
    """What `Room` asks of boot's record."""

    on_trial = False

    def is_on_trial(self) -> bool:
        return self.on_trial


def test_an_app_gains_nothing_where_the_device_ends_while_the_reserve_is_given_back(
    disk: Path,
) -> None:
    """A power cut at that moment, again and again; each time the app takes what it can."""
    (disk / "slots" / "a").mkdir(parents=True)
    (disk / "slots" / "a" / "tree").write_bytes(bytes(MIB))
    app = [disk / f"greedy-{number}" for number in range(4)]
    for place in app:
        place.mkdir()

    def start() -> Room:
        given = Start(role=Role.SUPERVISOR, root=disk, slot="a")
        slots = cast(SlotKeeper, _Slots())
        return Room(given, slots, lambda *_, **__: None, copied=False, stop_app=stop)

    async def stop() -> None:
        pass

    async def life(place: Path) -> None:
        room = start()
        await room.set_aside()
        fill(place)
        await room.make()

    for place in app:
        asyncio.run(life(place))
    sizes = [sum(file.stat().st_size for file in place.iterdir()) for place in app]
    assert sizes[0] > MIB
    assert sizes[1:] == [0, 0, 0]
    assert [len(list(place.iterdir())) for place in app[1:]] == [0, 0, 0]
