"""Updates of devices whose slots are block devices: written by limpet, or by the real RAUC."""

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.device.blocks import factory_slots, flashed, needs_blocks
from tests.device.workshop import until
from tests.end_to_end.rauc_system import RaucSystem
from tests.end_to_end.test_update import World, doomed, make_world

from limpet.firmware.devices import SlotDevices, load_devices
from limpet.firmware.verity import hash_offset
from limpet.release import Form

pytestmark = [pytest.mark.end_to_end, needs_blocks]

UNIT, WRONG_UNIT = "MILLIDEGREES_PER_DEGREE = 1000", "MILLIDEGREES_PER_DEGREE = 10"


def broken(world: World, name: str) -> Path:
    """The product with a bug that its own health check finds."""
    place = world.home.root.parent / name
    shutil.copytree(world.pristine, place)
    sensor = place / "app" / "thermostat" / "sensor.py"
    text = sensor.read_text()
    assert UNIT in text
    sensor.write_text(text.replace(UNIT, WRONG_UNIT))
    return doomed(place)


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, SlotDevices]]:
    """A device as the station lays it out, and its devices."""
    base = tmp_path_factory.mktemp("blocks")
    with factory_slots(base) as devices:
        around = partial(flashed, devices=devices)
        for world in make_world(base, around=around, devices=devices):
            yield world, devices


def test_a_block_image_is_written_to_the_other_device_tried_and_confirmed(
    blocks: tuple[World, SlotDevices],
) -> None:
    world, devices = blocks
    assert load_devices(world.device.root) == devices, "what the station was told"
    world.offer(world.release("1.1.0", form=Form.BLOCK))
    until(lambda: world.running_version() == "1.1.0", "not confirmed", world.device)
    assert world.device.has_logged("update-begins", "installing 1.1.0: delta from 1.0.0, ")
    assert not world.device.has_logged("delta-failed", ""), "device a is what the station signed"
    assert (world.device.root / "slots" / "b").is_mount()
    record = world.device.state.b
    assert record is not None
    assert record.verity is not None
    size = hash_offset(record.verity)
    assert Path(devices.b).read_bytes()[:4] == b"hsqs", "a squashfs on the device itself"
    found = os.stat(devices.b)
    assert (found.st_uid, found.st_mode & 0o777) == (0, 0o640), "only root writes what runs"
    assert size > 1 << 20


def test_a_device_with_blocks_takes_no_tree(blocks: tuple[World, SlotDevices]) -> None:
    world, _ = blocks
    world.offer(world.release("1.2.0"))
    until(lambda: world.device.has_logged("update-refused", "wrong-kind"), "taken", world.device)
    assert world.running_version() == "1.1.0"


def test_a_block_image_that_fails_falls_back_to_the_other_device(
    blocks: tuple[World, SlotDevices],
) -> None:
    world, _ = blocks
    world.offer(world.release("1.3.0", product=broken(world, "bad-blocks"), form=Form.BLOCK))
    until(
        lambda: world.device.has_logged("update-fell-back", "1.3.0"),
        "no fall-back",
        world.device,
    )
    assert world.running_version() == "1.1.0"


def test_a_block_image_is_made_of_the_one_that_runs_by_a_delta(
    blocks: tuple[World, SlotDevices],
) -> None:
    """The confined updater reads the running slot's device, and writes the other one only."""
    world, devices = blocks
    before = Path(devices.b).read_bytes()
    world.offer(world.release("1.4.0", form=Form.BLOCK, base="1.1.0"))
    until(lambda: world.running_version() == "1.4.0", "not confirmed", world.device)
    assert world.device.has_logged("update-begins", "installing 1.4.0: delta from 1.1.0, ")
    assert not world.device.has_logged("delta-failed", ""), "the confined updater cannot read it"
    assert Path(devices.b).read_bytes() == before


@pytest.fixture(scope="module")
def with_rauc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, RaucSystem]]:
    base = tmp_path_factory.mktemp("rauc")
    system = RaucSystem(base)
    for world in make_world(base, around=system.around):
        yield world, system


def test_a_bundle_that_fails_its_trial_is_marked_bad_and_the_old_slot_active(
    with_rauc: tuple[World, RaucSystem],
) -> None:
    world, rauc = with_rauc
    bad = broken(world, "bad-bundle")
    world.offer(world.release("1.1.0", product=bad, form=Form.BUNDLE, packer=rauc.packer()))
    until(
        lambda: world.device.has_logged("update-fell-back", "1.1.0"),
        "no fall-back",
        world.device,
    )
    until(lambda: rauc.kept("B") == "bad", "RAUC was not told", world.device)
    assert rauc.kept("primary") == "A"
    assert world.running_version() == "1.0.0"


def test_a_bundle_that_raucs_own_keys_did_not_sign_is_refused_by_rauc_and_told(
    with_rauc: tuple[World, RaucSystem],
) -> None:
    world, rauc = with_rauc
    before = world.device.state
    world.offer(world.release("1.2.0", form=Form.BUNDLE, packer=rauc.packer(key="foreign")))
    until(
        lambda: world.device.has_logged("activation-refused", "rauc-refused"),
        "it was not refused",
        world.device,
    )
    assert world.device.has_logged("activation-refused", "signature")
    assert world.device.state.good == before.good
    assert world.device.state.trial is None


def test_rauc_writes_the_bundle_that_limpet_fetched_and_hears_that_it_is_good(
    with_rauc: tuple[World, RaucSystem],
) -> None:
    world, rauc = with_rauc
    world.offer(world.release("1.3.0", form=Form.BUNDLE, packer=rauc.packer()))
    until(lambda: world.running_version() == "1.3.0", "not confirmed", world.device)
    until(lambda: rauc.kept("B") == "good", "RAUC was not told", world.device)
    assert rauc.kept("primary") == "B"
    assert "installing" in rauc.service_log
    assert world.device.state.good == "b"
    assert not list((world.device.root / "updater" / "staging").glob("*.bundle"))


def test_where_rauc_takes_the_running_slot_for_the_other_one_nothing_is_written(
    with_rauc: tuple[World, RaucSystem],
) -> None:
    """The service was told that A is booted, and would write B, from which limpet runs now."""
    world, rauc = with_rauc
    until(lambda: world.running_version() == "1.3.0", "not there yet", world.device)
    running_slot = Path(world.device.root / "slots" / "b" / "firmware.json").read_bytes()
    world.offer(world.release("1.4.0", form=Form.BUNDLE, packer=rauc.packer()))
    until(
        lambda: world.device.has_logged("activation-refused", "rauc-disagrees"),
        "it was not refused",
        world.device,
    )
    assert Path(world.device.root / "slots" / "b" / "firmware.json").read_bytes() == running_slot
    assert world.running_version() == "1.3.0"
