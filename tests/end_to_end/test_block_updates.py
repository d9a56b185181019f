"""Updates of devices whose slots are block devices: written by limpet, or by the real RAUC."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from tests.device.blocks import block_slots, factory_slots, flashed, needs_blocks
from tests.device.workshop import until
from tests.end_to_end.test_update import World, doomed, make_world
from tests.needs import need

from limpet.firmware.devices import RaucSlots, SlotDevices, load_devices
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


SYSTEM = """
[system]
compatible=thermostat
bootloader=custom
mountprefix={place}/mnt
statusfile={place}/rauc.status
bundle-formats=+plain

[handlers]
bootloader-custom-backend={place}/bootloader

[keyring]
path={place}/cert.pem

[slot.rootfs.0]
device={a}
type=raw
bootname=A

[slot.rootfs.1]
device={b}
type=raw
bootname=B
"""
BOOTLOADER = """#!/bin/sh
# Where the board's boot loader would keep its variables.
kept='{place}/bootloader.d'
mkdir -p "$kept"
case $1 in
    get-primary) cat "$kept/primary" 2>/dev/null || echo A ;;
    set-primary) echo "$2" > "$kept/primary" ;;
    get-state) cat "$kept/$2" 2>/dev/null || echo good ;;
    set-state) echo "$3" > "$kept/$2" ;;
    get-current) echo A ;;
esac
"""
PACKER = """#!/bin/sh
# What a product with RAUC has in its build already.
set -eu
content=$(mktemp -d)
cp "$1" "$content/rootfs.img"
printf '[update]\\ncompatible=thermostat\\nversion=1\\n[image.rootfs]\\nfilename=rootfs.img\\n' \
    > "$content/manifest.raucm"
rauc --cert='{place}/cert.pem' --key='{place}/{key}.pem' bundle "$content" "$2"
rm -r "$content"
"""


class RaucSystem:
    """RAUC's service on a bus of its own, its boot loader and its keys."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.bus = f"unix:path={place}/bus"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, devices: SlotDevices) -> None:
        """The service, on a private bus that limpet is pointed to."""
        place = self.place
        (place / "mnt").mkdir()
        (place / "system.conf").write_text(SYSTEM.format(place=place, a=devices.a, b=devices.b))
        (place / "bootloader").write_text(BOOTLOADER.format(place=place))
        (place / "bootloader").chmod(0o755)
        for name in ("key", "foreign"):
            cert = place / ("cert.pem" if name == "key" else "foreign-cert.pem")
            curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
            names = ["-keyout", place / f"{name}.pem", "-out", cert, "-subj", f"/CN=rauc {name}"]
            make = ["openssl", "req", "-x509", *curve, "-days", "30", *names]
            subprocess.run(make, check=True, capture_output=True)
        bus = subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", "--print-address=1", f"--address={self.bus}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(bus)
        assert bus.stdout is not None
        bus.stdout.readline()  # it listens
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.bus}
        log = (place / "service.log").open("wb")
        command = ["rauc", f"--conf={place}/system.conf", "service", "--override-boot-slot=A"]
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))

    def packer(self, *, key: str = "key") -> Path:
        """The build's program that makes a bundle."""
        program = self.place / f"make-bundle-{key}"
        text = PACKER.format(place=self.place, key=key)
        if key == "foreign":
            text = text.replace("/cert.pem", "/foreign-cert.pem")
        program.write_text(text)
        program.chmod(0o755)
        return program

    def kept(self, name: str) -> str:
        """A variable of the boot loader."""
        file = self.place / "bootloader.d" / name
        return file.read_text().strip() if file.exists() else ""

    def stop(self) -> None:
        """End what was started."""
        for process in reversed(self.processes):
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def with_rauc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, RaucSystem]]:
    need("rauc", "dbus-daemon", package="rauc dbus", untried="RAUC installed nothing")
    base = tmp_path_factory.mktemp("rauc")
    system = RaucSystem(base)

    @contextmanager
    def slots(root: Path) -> Iterator[None]:
        with block_slots(
            root, base, rauc=RaucSlots(a="rootfs.0", b="rootfs.1", bus=system.bus)
        ) as devices:
            system.start(devices)
            try:
                yield
            finally:
                system.stop()

    for world in make_world(base, around=slots):
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
    assert "installing" in (rauc.place / "service.log").read_text()
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
