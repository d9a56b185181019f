"""Where the groups of an image go: a directory, a block device, or a file for another updater.

Owns the choice, by the kind that the signed manifest says and the kind of slots that the device
has; one that does not fit the other is refused before a byte is fetched.
"""

import os
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.firmware.blocks import install_blocks
from limpet.firmware.devices import SlotDevices
from limpet.firmware.image import ReadGroup, ReadRange
from limpet.firmware.installation import Progress, install_image
from limpet.firmware.slots import SlotName
from limpet.wire.release import Image

__all__ = ["write_image"]

_SPARE_BYTES = 1 << 20


def write_image(
    image: Image,
    read_range: ReadRange,
    slot: SlotName,
    *,
    staging: Path,
    devices: SlotDevices | None,
    journal: Path,
    read_group: ReadGroup | None = None,
    on_progress: Progress | None = None,
) -> None:
    """Fetch and write `image` for `slot`, going on from `journal` where it fits.

    `read_group` is another way to its verified groups than `read_range` (a delta).
    Raises `Rejected("wrong-kind")`, and what the writers raise.
    """
    kind = "tree" if devices is None else "block" if devices.rauc is None else "bundle"
    if image.kind != kind:
        message = f"the firmware is a {image.kind}, the slots of this device take a {kind}"
        raise Rejected("wrong-kind", message)
    if devices is None:
        install_image(
            image,
            read_range,
            staging / slot,
            journal=journal,
            read_group=read_group,
            on_progress=on_progress,
        )
        return
    target = devices.device_of(slot) if devices.rauc is None else staging / f"{slot}.bundle"
    if devices.rauc is not None:
        _make_room(target, image.size)
    install_blocks(
        image, read_range, target, journal=journal, read_group=read_group, on_progress=on_progress
    )


def _make_room(bundle: Path, size: int) -> None:
    """A file of exactly `size` bytes, what is written of it kept."""
    try:
        descriptor = os.open(bundle, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            free, there = os.statvfs(bundle), os.fstat(descriptor).st_blocks * 512
            if free.f_bavail * free.f_frsize < size - there + _SPARE_BYTES:
                raise Unavailable("no room for the bundle", hint="free some space")
            os.ftruncate(descriptor, size)
        finally:
            os.close(descriptor)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise Unavailable(f"cannot write {bundle.name}: {why}") from error
