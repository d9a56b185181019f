"""Devices whose slots are block devices, as the station lays them out.

Owns the file that is to be written onto device a (`slot-a.img`), and what is mounted of it while
the device is made. Never writes to a block device: their names are the device's own, and on the
station's machine they mean something else.
"""

import subprocess
from pathlib import Path

from limpet.errors import Rejected, Unavailable, naming
from limpet.firmware.blocks import install_blocks
from limpet.firmware.devices import DEVICES_FILE, SlotDevices
from limpet.firmware.image import ReadRange
from limpet.storage import make_directory, write_atomic
from limpet.wire.codec import decode_json, encode_json
from limpet.wire.release import Image

__all__ = ["SLOT_IMAGE", "close_slot", "fill_slot", "parse_devices", "point_at", "verify_form"]

SLOT_IMAGE = "slot-a.img"

_BYTES = 4 << 10
_RUN_SECONDS = 60.0
_MAPPED = Path("/dev/mapper/limpet-a")
"""What boot calls it where the kernel has device-mapper: one at a time on a machine."""


def parse_devices(a: str, b: str) -> SlotDevices:
    """The two devices by their names on the device. Raises `Rejected("bad-device")`."""
    hint = "give absolute paths, as /dev/mmcblk0p2 or /dev/disk/by-partlabel/limpet-a"
    try:
        data = encode_json(SlotDevices(a=a, b=b))
        devices = decode_json(data, SlotDevices, max_bytes=_BYTES)
    except Rejected as error:
        raise Rejected("bad-device", f"{a!r} and {b!r}: {error.message}", hint=hint) from error
    if a == b:
        raise Rejected("bad-device", f"both slots would be {a}", hint=hint)
    return devices


def verify_form(image: Image, devices: SlotDevices | None) -> None:
    """That `image` is for the slots that the device gets. Raises `Rejected("wrong-kind")`."""
    wanted = "tree" if devices is None else "block"
    if image.kind != wanted:
        hint = {
            "tree": "leave --slot-devices out, or build it with --form block",
            "block": "say which devices the slots are: --slot-devices A B",
        }.get(image.kind, "make devices from an image of --form block; RAUC's bundles come later")
        message = f"the image is a {image.kind}, these slots take a {wanted}"
        raise Rejected("wrong-kind", message, hint=hint)


def fill_slot(image: Image, read_range: ReadRange, directory: Path) -> None:
    """Write `slot-a.img`, and let the device in `directory` find it as its slot a.

    Raises `Rejected`, `Unavailable`.
    """
    slots, file = directory / "slots", directory / SLOT_IMAGE
    for slot in ("a", "b"):
        make_directory(slots / slot, mode=0o755)
    with file.open("xb") as made:
        made.truncate(image.size)
    install_blocks(image, read_range, file, journal=slots / "a.journal")
    place = str(file.resolve())
    with naming(place, hint="choose another --out: letters, digits and _.-+: only"):
        data = encode_json(SlotDevices(a=place, b=place))
        devices = decode_json(data, SlotDevices, max_bytes=_BYTES)
    point_at(devices, directory)


def point_at(devices: SlotDevices, directory: Path) -> None:
    """Say durably which devices the slots are."""
    write_atomic(directory / "slots" / DEVICES_FILE, encode_json(devices), mode=0o644)


def close_slot(directory: Path) -> None:
    """Undo what boot opened of slot a while the device was made. Raises `Unavailable`."""
    slot = directory / "slots" / "a"
    if slot.is_mount():
        _run("umount", str(slot))
    if _MAPPED.exists():
        _run("veritysetup", "close", _MAPPED.name)


def _run(*command: str) -> None:
    try:
        subprocess.run(command, capture_output=True, check=True, timeout=_RUN_SECONDS)
    except FileNotFoundError as error:
        raise Unavailable(f"{command[0]} is not installed") from error
    except subprocess.SubprocessError as error:
        raise Unavailable(f"{' '.join(command)} failed: the slot may still be open") from error
