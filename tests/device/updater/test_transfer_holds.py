"""What keeps a release from being fetched now: seen by the owner, before the first byte."""

import contextlib
import dataclasses
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Literal

import pytest
from msgspec.structs import replace
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import RepositorySimulator

from limpet.device.link import messages as m
from limpet.device.updater.check import CheckResult, Outcome
from limpet.device.updater.device import Device
from limpet.device.updater.engine import Engine
from limpet.device.updater.holding import Room, measure_room
from limpet.device.updater.ledger import DAY_BYTES, FILE_BYTES, Ledger, lease, save_ledger
from limpet.device.updater.source import FileRefused
from limpet.wire.release import Group, Image
from limpet.wire.report import ReportKind


def fetched(repository: RepositorySimulator) -> list[str]:
    return [path for path in repository.asked if path.startswith("images/")]


def on_metered(bench: Bench, *, consent: bool = False) -> CheckResult:
    async def check(engine: Engine) -> CheckResult:
        engine.set_policy(m.UpdatePolicy(metered=True))
        result = await engine.check()
        if consent:
            engine.consent()
            result = await engine.check()
        return result

    return bench.run(check)


def test_a_metered_network_holds_images_and_checks_go_on(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    for _ in range(2):
        result = on_metered(bench)
        assert (result.outcome, result.reason) == (Outcome.HELD, "metered")
        assert "metered network" in result.detail
    assert fetched(repository) == []
    assert len(bench.told(ReportKind.HELD)) == 1
    bench.assert_untouched()


def test_on_a_metered_network_the_owners_word_fetches_it(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    assert on_metered(bench, consent=True).outcome is Outcome.READY


def test_on_a_metered_network_a_raised_security_counter_is_fetched(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    """Signed offline: a thief of the online keys cannot spend the owner's money by it."""
    repository.offer(repository.add_release(work, security_counter=2))
    assert on_metered(bench).outcome is Outcome.READY


def test_a_refused_file_is_asked_once_until_the_metadata_changes(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    [path] = [path for path in repository.files if path.startswith("images/")]
    image = repository.files[path]

    def missing(path: str) -> None:
        if path.startswith("images/"):
            raise FileRefused(path, 404)

    repository.hooks.append(missing)
    result = bench.check()
    assert (result.outcome, result.reason) == (Outcome.REFUSED, "file-refused")
    assert "404 (not found)" in result.detail
    for _ in range(3):  # each a life of its own
        result = bench.check()
        assert (result.outcome, result.reason) == (Outcome.HELD, "file-refused")
    assert len(fetched(repository)) == 1
    assert [report.reason for report in bench.told(ReportKind.REFUSED)] == ["file-refused"]
    repository.hooks.clear()
    repository.files[path] = image
    repository.publish()
    assert bench.check().outcome is Outcome.READY


def test_a_day_that_is_used_up_holds_until_its_end_and_over_restarts(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    began = bench.wall - timedelta(hours=23)
    used = lease(Ledger(), "images/a", FILE_BYTES, began)
    used = lease(used, "images/b", DAY_BYTES - FILE_BYTES, began)
    save_ledger(bench.root / "updater" / "transfers.json", used)
    status = bench.status_after_check()
    assert status.state == "held"
    assert status.reason == (
        "day-limit: 512 MiB of today's 512 MiB are used, again at 2026-11-22 13:00 UTC"
    )
    assert fetched(repository) == []
    bench.wall += timedelta(hours=1)
    assert bench.check().outcome is Outcome.READY


def test_a_day_that_ends_in_the_middle_holds_and_goes_on_the_next(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    repository.offer(repository.add_release(work))
    [path] = [path for path in repository.files if path.startswith("images/")]
    used = lease(Ledger(), path, FILE_BYTES - (5 << 18), bench.wall - timedelta(hours=23))
    save_ledger(bench.root / "updater" / "transfers.json", used)
    result = bench.check()
    assert (result.outcome, result.reason) == (Outcome.HELD, "day-limit")
    bench.wall += timedelta(hours=1)
    offsets: list[int] = []
    repository.chunk_hooks.append(lambda path, offset: offsets.append(offset))
    assert bench.check().outcome is Outcome.READY
    assert offsets[0] >= 1 << 20, "the first group was not fetched again"


def test_a_disk_without_room_holds_before_the_first_byte_and_says_how_much_is_missing(
    bench: Bench, repository: RepositorySimulator, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.offer(repository.add_release(work))
    found = os.statvfs(bench.root)
    fields = list(found)
    fields[0], fields[1], fields[4] = 4096, 4096, 256  # 1 MiB is free
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(fields))
    result = bench.check()
    assert (result.outcome, result.reason) == (Outcome.HELD, "low-disk")
    assert result.detail == "4.5 MiB more of free disk are needed"
    assert fetched(repository) == []
    monkeypatch.undo()
    assert bench.check().outcome is Outcome.READY


@dataclass
class Rooms(Bench):
    """Its supervisor has the file `kept`, beside the device, to give back. An app that is `greedy`
    takes all the rest when a trial is confirmed."""

    rooms: list[bool] = field(default_factory=list)
    greedy: bool = False

    async def _supervise(self, request: m.Request) -> m.Reply:
        if isinstance(request, m.MakeRoom):
            self.rooms.append(request.wanted)
            kept = self.root.parent / "kept"
            if request.wanted:
                self.size = kept.stat().st_size
                kept.unlink()
            else:
                with contextlib.suppress(OSError):
                    kept.write_bytes(bytes(self.size))
        reply = await super()._supervise(request)
        if self.greedy and isinstance(request, m.ConfirmTrial):
            with contextlib.suppress(OSError):
                (self.root.parent / "taken").write_bytes(bytes(16 << 20))
        return reply


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "limpet-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root mounts a small disk: no real one was filled")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_really_small_disk_holds_and_what_is_said_to_be_missing_is_what_it_takes(
    small_disk: Path, repository: RepositorySimulator, work: Path
) -> None:
    bench = Bench(small_disk / "device", repository)
    repository.offer(repository.add_release(work))
    filler = small_disk / "filler"
    filler.write_bytes(bytes(12 << 20))
    result = bench.check()
    assert (result.outcome, result.reason) == (Outcome.HELD, "low-disk")
    assert fetched(repository) == []
    bench.assert_untouched()
    missing = float(result.detail.split(" MiB")[0])
    os.truncate(filler, (12 << 20) - int(missing * (1 << 20)) - (200 << 10))
    assert bench.check().outcome is Outcome.READY


def test_a_disk_that_an_app_has_filled_gets_its_room_while_the_app_rests(
    small_disk: Path, repository: RepositorySimulator, work: Path
) -> None:
    bench = Rooms(small_disk / "device", repository)
    for name, size in (("kept", 8 << 20), ("taken", 16 << 20)):
        with contextlib.suppress(OSError):
            (small_disk / name).write_bytes(bytes(size))
    assert bench.check().outcome is Outcome.NOTHING
    assert bench.rooms == [True, False]
    repository.offer(repository.add_release(work))
    assert bench.check().outcome is Outcome.READY
    assert bench.rooms == [True, False, True]  # it is on trial next: the app does not come back
    bench.boot()
    assert (bench.slot, bench.version) == ("b", "1.1.0")


class Adaptive(Rooms):
    """Its app takes the room when the supervisor copies what was fetched, which is then lost."""

    async def _supervise(self, request: m.Request) -> m.Reply:
        if isinstance(request, m.Activate) and not self.rooms:
            shutil.rmtree(self.root / "updater" / "staging" / request.slot)
            return m.Refused(reason="disk-full", message="no space left on device")
        return await super()._supervise(request)


def test_a_disk_that_is_filled_while_firmware_is_taken_over_gets_its_room_at_once(
    bench: Bench, repository: RepositorySimulator, work: Path
) -> None:
    adaptive = Adaptive(bench.root.parent / "adaptive", repository)
    (bench.root.parent / "kept").write_bytes(bytes(8 << 20))
    repository.offer(repository.add_release(work))
    assert adaptive.check().outcome is Outcome.READY
    assert adaptive.rooms == [True]
    adaptive.boot()
    assert (adaptive.slot, adaptive.version) == ("b", "1.1.0")


def test_room_that_is_not_enough_is_left_again(
    small_disk: Path, repository: RepositorySimulator, work: Path
) -> None:
    bench = Rooms(small_disk / "device", repository)
    (small_disk / "kept").write_bytes(bytes(1 << 20))
    (small_disk / "taken").write_bytes(bytes(13 << 20))
    repository.offer(repository.add_release(work))
    result = bench.check()
    assert (result.outcome, result.reason) == (Outcome.HELD, "low-disk")
    assert bench.rooms == [True, False]


def test_an_updater_that_can_keep_nothing_goes_on_and_settles_when_there_is_room(
    small_disk: Path, repository: RepositorySimulator, work: Path
) -> None:
    bench = Rooms(small_disk / "device", repository)
    (small_disk / "kept").write_bytes(bytes(4 << 20))
    repository.offer(repository.add_release(work))
    assert bench.check().outcome is Outcome.READY
    bench.boot()
    bench.greedy = True
    bench.judge(m.Health(healthy=True))
    assert any(event == "not-settled" for event, _, _ in bench.logged)
    bench.run(lambda engine: engine.check())  # the process is a new one, on the full disk
    assert [report.version for report in bench.told(ReportKind.CONFIRMED)] == ["1.1.0"]


def test_the_lower_of_the_owners_and_the_designs_limit_holds(
    tmp_path: Path, repository: RepositorySimulator, work: Path
) -> None:
    class Limited(Bench):
        def device(self) -> Device:
            device = super().device()
            update = replace(device.product.update, bandwidth_bytes_per_second=64 << 10)
            product = replace(device.product, update=update)
            return dataclasses.replace(device, product=product)

    async def check(engine: Engine, owners: int | None) -> None:
        engine.set_policy(m.UpdatePolicy(bandwidth=owners))
        assert (await engine.check()).outcome is Outcome.READY

    for number, (owners, seconds) in enumerate([(1 << 20, 24), (None, 24), (32 << 10, 48)]):
        bench = Limited(tmp_path / str(number), repository)
        repository.offer(repository.add_release(work))
        bench.run(partial(check, owners=owners))
        assert seconds - 1 <= sum(bench.pauses) <= seconds + 1


def _image(size: int, *, kind: Literal["tree", "block"] = "tree") -> Image:
    group = Group(packed=10, size=10, sha256="0" * 64)
    return Image(
        path=f"images/{'0' * 64}.img",
        packed=10,
        size=size,
        codec="zlib",
        groups=(group,),
        tree_sha256="0" * 64,
        kind=kind,
    )


def test_an_image_for_a_block_device_needs_no_room_beside_it() -> None:
    image, mib = _image(512 << 20, kind="block"), 1 << 20
    assert Room(free=4 * mib, there=0, copies=2).missing(image) == 0
    assert Room(free=3 * mib, there=0, copies=2).missing(image) == mib


def test_a_tree_that_is_copied_once_more_needs_twice_the_room() -> None:
    image, mib = _image(64 << 20), 1 << 20
    assert Room(free=70 * mib, there=0, copies=1).missing(image) == 0
    assert Room(free=69 * mib, there=0, copies=1).missing(image) == mib
    assert Room(free=70 * mib, there=0, copies=2).missing(image) == 66 * mib
    assert Room(free=30 * mib, there=40 * mib, copies=1).missing(image) == 0


def test_what_is_written_already_counts_as_room(tmp_path: Path) -> None:
    staging = tmp_path / "updater" / "staging"
    part = staging / "b.part"
    part.mkdir(parents=True)
    empty = measure_room(staging, part)
    (part / "file").write_bytes(bytes(1 << 20))
    assert measure_room(staging, part).there >= 1 << 20
    assert (empty.there, empty.copies) == (0, 1)
