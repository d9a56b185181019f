"""Devices with block slots as the station lays them out; tests/end_to_end/test_block_updates.py
starts and updates one."""

import dataclasses
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from tests.device.blocks import needs_blocks
from tests.device.workshop import example_product

from limpet.errors import LimpetError, Rejected
from limpet.firmware.blocks import verify_device
from limpet.firmware.devices import SlotDevices, load_devices
from limpet.firmware.slots import BOOT_FILE, load_boot_state
from limpet.release import BuildOrder, Form, build_release
from limpet.vendor.factory.blocks import SLOT_IMAGE, parse_devices
from limpet.vendor.factory.station import FactoryImage, Station, load_factory_image
from limpet.vendor.home import Home, create
from limpet.wire.release import Bounds

pytestmark = pytest.mark.end_to_end
NOW = datetime.now(UTC).replace(microsecond=0)
DEVICES = SlotDevices(a="/dev/mmcblk0p2", b="/dev/mmcblk0p3")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return create(tmp_path_factory.mktemp("blocks") / "vendor", example_product(), now=NOW)


@pytest.fixture(scope="module")
def image(home: Home) -> FactoryImage:
    order = BuildOrder(
        product=example_product(),
        trust=home.trust,
        version="1.0.0",
        security_counter=1,
        interface_version=1,
        bounds=Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=1_000_000),
        built_at=NOW,
        form=Form.BLOCK,
    )
    build_release(order, home.root.parent / "release")
    return load_factory_image(home.root.parent / "release")


def station(home: Home) -> Station:
    return Station(home, clock=lambda: datetime.now(UTC))


def mounts() -> str:
    """What is mounted, and the files behind loop devices."""
    behind = [file.read_text() for file in Path("/sys/block").glob("loop*/loop/backing_file")]
    return "\n".join([Path("/proc/mounts").read_text(), *behind])


def nothing_is_left(out: Path) -> bool:
    made = [path.name for path in out.iterdir()] if out.exists() else []
    return made in ([], ["labels"]) and str(out) not in mounts()


@needs_blocks
def test_what_goes_onto_device_a_is_the_signed_image_and_nothing_stays_mounted(
    home: Home, image: FactoryImage, tmp_path: Path
) -> None:
    """By the command; the names of the devices mean nothing on this machine."""
    words = ["--vendor", home.root, "--image", image.image.parent, "--out", tmp_path, "--json"]
    command = [sys.executable, "-m", "limpet", "factory", "make", *map(str, words)]
    done = subprocess.run(
        [*command, "--slot-devices", DEVICES.a, DEVICES.b], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    (made,) = json.loads(done.stdout)
    root = Path(made["directory"])
    assert Path(made["slot_image"]) == root / SLOT_IMAGE
    verify_device(root / SLOT_IMAGE, image.manifest.image)
    assert load_devices(root) == DEVICES
    record = load_boot_state(root / "slots" / BOOT_FILE).a
    assert record is not None
    assert record.verity == image.manifest.image.verity
    assert (root / "identity.json").exists()
    assert not any(os.scandir(root / "slots" / "a"))
    assert str(tmp_path) not in mounts()


@needs_blocks
def test_an_image_of_another_vendor_makes_no_device_and_stays_nowhere_mounted(
    image: FactoryImage, tmp_path: Path
) -> None:
    other = station(create(tmp_path / "other", example_product(), now=NOW))
    with pytest.raises(Rejected) as caught:
        list(other.make(image, tmp_path / "out", count=1, devices=DEVICES))
    assert caught.value.reason == "wrong-vendor"
    assert nothing_is_left(tmp_path / "out")


@needs_blocks
@pytest.mark.parametrize(
    ("what", "said"), [("image", "damaged: build the release again"), ("record", "no slot holds")]
)
def test_a_damaged_image_makes_no_device(
    home: Home, image: FactoryImage, tmp_path: Path, what: str, said: str
) -> None:
    """A bit of the file, or a hash tree that is not the image's: boot itself refuses that one."""
    if what == "image":
        data = bytearray(image.image.read_bytes())
        data[len(data) // 2] ^= 1
        (tmp_path / "image.img").write_bytes(bytes(data))
        image = dataclasses.replace(image, image=tmp_path / "image.img")
    else:
        verity = image.manifest.image.verity
        assert verity is not None
        wrong = msgspec.structs.replace(verity, root_sha256="0" * 64)
        described = msgspec.structs.replace(image.manifest.image, verity=wrong)
        manifest = msgspec.structs.replace(image.manifest, image=described)
        image = dataclasses.replace(image, manifest=manifest)
    with pytest.raises(LimpetError) as caught:
        list(station(home).make(image, tmp_path / "out", count=1, devices=DEVICES))
    assert said in f"{caught.value.message} {caught.value.hint}"
    assert nothing_is_left(tmp_path / "out")


@pytest.mark.parametrize(
    ("kind", "devices", "advice"),
    [("tree", DEVICES, "--form block"), ("block", None, "--slot-devices"), ("bundle", DEVICES, "")],
)
def test_an_image_for_other_slots_makes_no_device(
    home: Home,
    image: FactoryImage,
    tmp_path: Path,
    kind: str,
    devices: SlotDevices | None,
    advice: str,
) -> None:
    described = msgspec.structs.replace(image.manifest.image, kind=kind)
    manifest = msgspec.structs.replace(image.manifest, image=described)
    order = dataclasses.replace(image, manifest=manifest)
    with pytest.raises(Rejected) as caught:
        list(station(home).make(order, tmp_path / "out", count=1, devices=devices))
    assert caught.value.reason == "wrong-kind"
    assert advice in caught.value.hint
    assert nothing_is_left(tmp_path / "out")


@pytest.mark.parametrize(
    ("a", "b"), [("mmcblk0p2", "/dev/b"), ("/dev/a", "/dev/a"), ("/dev/a b", "/dev/b"), ("", "/b")]
)
def test_names_that_no_device_has_are_refused(a: str, b: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_devices(a, b)
    assert caught.value.reason == "bad-device"
