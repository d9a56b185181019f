"""Block slots: verified, mounted read-only, and left for the other one when a bit has changed."""

import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from tests.device.blocks import block_slots, flip, needs_blocks
from tests.device.workshop import make_device, make_slot, running, until

from limpet.device.boot import _blocks
from limpet.device.boot._choice import choose_slot
from limpet.device.enclosure.ownership import own_device
from limpet.device.enclosure.users import find_users
from limpet.device.link.journal import Journal
from limpet.errors import Rejected, Unavailable
from limpet.firmware.devices import SlotDevices
from limpet.firmware.slots import (
    BOOT_FILE,
    decide_start,
    load_boot_state,
    record_activation,
    record_confirmation,
    save_boot_state,
)

pytestmark = needs_blocks


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A device with firmware 1.0.0 in slot a and 1.1.0, confirmed, in slot b."""
    root = make_device(tmp_path / "device")
    record = make_slot(root / "slots" / "b", version="1.1.0")
    path = root / "slots" / BOOT_FILE
    state = record_activation(load_boot_state(path), "b", record)
    save_boot_state(path, record_confirmation(decide_start(state).state_after))
    return root


@pytest.fixture
def devices(root: Path, tmp_path: Path) -> Iterator[SlotDevices]:
    with block_slots(root, tmp_path) as devices:
        yield devices


def choose(root: Path) -> str:
    journal = Journal(root, clock=lambda: datetime.now(UTC), monotonic=time.monotonic)
    return choose_slot(root, journal).choice.slot


def test_the_chosen_slot_is_mounted_read_only_and_can_be_chosen_again(
    root: Path, devices: SlotDevices
) -> None:
    for _ in range(2):
        assert choose(root) == "b"
        assert (root / "slots" / "b" / "runtime" / "limpet" / "errors.py").is_file()
        with pytest.raises(OSError, match="Read-only"):
            (root / "slots" / "b" / "more").write_text("x")
        assert not (root / "slots" / "a" / "runtime").exists(), "only what runs is mounted"


def test_a_device_runs_from_a_slot_of_blocks(root: Path, devices: SlotDevices) -> None:
    with running(root) as device:
        until(lambda: device.has_logged("running", "slot b"), "it does not run", device)
        assert device.has_logged("starting", "slot b, version 1.1.0")


@pytest.mark.parametrize("where", ["superblock", "middle", "end"])
def test_one_flipped_bit_and_the_other_slot_starts(
    root: Path, devices: SlotDevices, where: str
) -> None:
    record = load_boot_state(root / "slots" / BOOT_FILE).b
    assert record is not None
    assert record.verity is not None
    size = record.verity.data_blocks * 4096
    flip(Path(devices.b), {"superblock": 8, "middle": size // 2, "end": size - 4096 - 1}[where])
    assert choose(root) == "a"
    assert load_boot_state(root / "slots" / BOOT_FILE).b is None
    assert (root / "slots" / "a" / "runtime").is_dir()


def test_two_slots_swapped_by_hand_start_nothing_that_was_not_recorded(
    root: Path, devices: SlotDevices
) -> None:
    """The older firmware in the newer one's place is not what its record says."""
    a, b = Path(devices.a).read_bytes(), Path(devices.b).read_bytes()
    Path(devices.a).write_bytes(b)
    Path(devices.b).write_bytes(a)
    with pytest.raises(Rejected) as refused:
        choose(root)
    assert refused.value.reason == "no-slot"


def test_a_missing_program_of_the_machine_gives_up_no_slot(
    root: Path, devices: SlotDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_boot_state(root / "slots" / BOOT_FILE)

    def missing(*command: object, **options: object) -> None:
        raise FileNotFoundError(2, "No such file", str(command[0]))

    monkeypatch.setattr(_blocks.subprocess, "run", missing)
    with pytest.raises(Unavailable, match="not installed"):
        choose(root)
    assert load_boot_state(root / "slots" / BOOT_FILE) == before


def test_a_boot_that_may_not_mount_gives_up_no_slot(
    root: Path, devices: SlotDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_boot_state(root / "slots" / BOOT_FILE)
    monkeypatch.setattr(_blocks, "permitted", lambda: set())
    with pytest.raises(Unavailable, match="no right to mount"):
        choose(root)
    assert load_boot_state(root / "slots" / BOOT_FILE) == before


def test_a_slot_that_is_still_mounted_does_not_keep_a_device_from_starting(
    root: Path, devices: SlotDevices
) -> None:
    """As after a boot that was killed; the modes in it are the packer's, and stay so."""
    place = root / "slots" / "a"
    subprocess.run(["mount", "-o", "ro", devices.a, place], check=True)
    users = find_users(root, first=None)
    assert users is not None
    own_device(root, users)
    with running(root) as device:
        until(lambda: device.has_logged("running", "slot b"), "it does not run", device)


def test_a_record_without_a_root_hash_starts_nothing(root: Path, devices: SlotDevices) -> None:
    path = root / "slots" / BOOT_FILE
    state = load_boot_state(path)
    assert state.b is not None
    bare = msgspec.structs.replace(state.b, verity=None)
    save_boot_state(path, msgspec.structs.replace(state, b=bare))
    assert choose(root) == "a"


def test_the_kernel_of_this_machine_is_used_for_what_it_can(
    root: Path, devices: SlotDevices
) -> None:
    """With device-mapper the source of the mount is a mapping, else the device itself."""
    choose(root)
    place = root / "slots" / "b"
    found = subprocess.run(
        ["findmnt", "-n", "-o", "SOURCE", place], capture_output=True, text=True, check=True
    )
    mapped = "/dev/mapper/limpet-b" if _blocks._has_device_mapper() else devices.b
    assert found.stdout.strip() == mapped
