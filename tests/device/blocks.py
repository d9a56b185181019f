"""Slots that are block devices, for tests: a tree as a squashfs with its hash tree, on a loop.

Needs root, squashfs-tools and cryptsetup-bin; `needs_blocks` says so, and in CI they are there.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from tests.needs import needs

from limpet.firmware.devices import DEVICES_FILE, RaucSlots, SlotDevices
from limpet.firmware.slots import BOOT_FILE, load_boot_state, save_boot_state
from limpet.firmware.verity import append_verity
from limpet.vendor.factory.blocks import SLOT_IMAGE
from limpet.wire.codec import encode_json

SLOT_BYTES = 24 << 20
PROGRAMS = ("mksquashfs", "veritysetup", "losetup", "mount")

needs_blocks = needs(
    *PROGRAMS,
    package="squashfs-tools cryptsetup-bin",
    untried="no slot was a block device",
    root="loop devices",
)


def make_squashfs(tree: Path, out: Path) -> None:
    """`tree` as a file system that is the same for the same tree."""
    options = ["-all-root", "-noappend", "-no-xattrs", "-all-time", "0", "-mkfs-time", "0"]
    options += ["-noI", "-noD", "-noF", "-noX"]  # what is compressed ruins deltas
    for path in [tree, *tree.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else path.stat().st_mode & 0o111 | 0o644)
    subprocess.run(["mksquashfs", tree, out, *options], check=True, capture_output=True)


@contextmanager
def loop_devices(*files: Path) -> Iterator[tuple[Path, ...]]:
    """A loop device for each file."""
    found: list[Path] = []
    try:
        for file in files:
            command = ["losetup", "--find", "--show", file]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(Path(done.stdout.strip()))
        yield tuple(found)
    finally:
        for device in found:
            subprocess.run(["losetup", "--detach", device], check=False)


@contextmanager
def block_slots(root: Path, place: Path, *, rauc: RaucSlots | None = None) -> Iterator[SlotDevices]:
    """Turn the device at `root`, whose slots are directories, into one with block devices."""
    path = root / "slots" / BOOT_FILE
    state = load_boot_state(path)
    images = {}
    for slot in ("a", "b"):
        image = images[slot] = place / f"{slot}.img"
        record, tree = state.record_of(slot), root / "slots" / slot  # type: ignore[arg-type]
        if record is not None:
            make_squashfs(tree, image)
            verity = append_verity(image)
            record = msgspec.structs.replace(record, verity=verity)
            state = msgspec.structs.replace(state, **{slot: record})
        with image.open("ab") as file:
            file.truncate(SLOT_BYTES)
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir()
    save_boot_state(path, state)
    with loop_devices(images["a"], images["b"]) as (a, b):
        devices = SlotDevices(a=str(a), b=str(b), rauc=rauc)
        (root / "slots" / DEVICES_FILE).write_bytes(encode_json(devices))
        try:
            yield devices
        finally:
            for slot in ("a", "b"):
                subprocess.run(["umount", root / "slots" / slot], capture_output=True, check=False)


@contextmanager
def factory_slots(place: Path) -> Iterator[SlotDevices]:
    """Two empty devices that a station may be told of."""
    files = place / "a.device", place / "b.device"
    for file in files:
        with file.open("xb") as made:
            made.truncate(SLOT_BYTES)
    with loop_devices(*files) as (a, b):
        yield SlotDevices(a=str(a), b=str(b))


@contextmanager
def flashed(root: Path, devices: SlotDevices) -> Iterator[None]:
    """Write what the station left for device a, as a factory does; unmounted in the end."""
    with (root / SLOT_IMAGE).open("rb") as image, devices.device_of("a").open("r+b") as device:
        shutil.copyfileobj(image, device)
        device.flush()
        os.fsync(device.fileno())
    (root / SLOT_IMAGE).unlink()
    try:
        yield
    finally:
        for slot in ("a", "b"):
            subprocess.run(["umount", root / "slots" / slot], capture_output=True, check=False)


def flip(device: Path, place: int) -> None:
    """Change one bit, on the medium."""
    with device.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
        file.flush()
        os.fsync(file.fileno())


__all__ = [
    "block_slots",
    "factory_slots",
    "flashed",
    "flip",
    "loop_devices",
    "make_squashfs",
    "needs_blocks",
]
