"""Writing a block image onto a slot that is a device, group by group, resumed after any cut.

Owns the journal, and what of it is believed: what this call wrote was read back before it was
journalled (`limpet.firmware.medium`), what an earlier one wrote is read back at the end and
compared with the signed hashes. Whoever takes the slot over reads all from the medium. A slot is
a block device, or a file in its place. The old firmware of *this* slot is gone from the first
group on: the other slot is what runs meanwhile. A device in use (mounted, mapped) is not opened.
"""

import hashlib
import os
import stat
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from limpet.errors import Rejected, Unavailable
from limpet.firmware.image import ReadGroup, ReadRange, group_reader
from limpet.firmware.installation import Progress, verify_description
from limpet.firmware.medium import Medium, verify_medium
from limpet.firmware.verity import BLOCK, hash_offset
from limpet.storage import read_bounded, remove_durably, write_atomic
from limpet.wire.codec import Message, decode_json
from limpet.wire.release import Digest, Image

__all__ = ["install_blocks", "verify_device"]

_JOURNAL_BYTES = 4 << 10


class _Journal(Message, frozen=True, kw_only=True):
    blocks_sha256: Digest  # of the signed description, so that a journal fits one image only
    groups: Annotated[int, Meta(ge=0)]


def install_blocks(
    image: Image,
    read_range: ReadRange,
    device: Path,
    *,
    journal: Path,
    read_group: ReadGroup | None = None,
    on_progress: Progress | None = None,
) -> None:
    """Make `device` begin with exactly the bytes of `image`, going on from `journal` if it fits.

    `image` must come from a verified manifest. Raises `Rejected("tampered-image" |
    "tampered-blocks" | "malformed" | "slot-too-small")` and `Unavailable`; a later call goes on.
    """
    verify_description(image)
    _verify_kind(image)
    try:
        descriptor = _open(device, os.O_RDWR)
        try:
            _verify_size(descriptor, image, device)
            done = _journalled(journal, image)
            read = read_group or group_reader(image, read_range)
            _write(descriptor, image, read, done, journal, on_progress)
            if done:  # by an earlier call: the journal may claim what a power cut took
                verify_medium(descriptor, 0, image.groups[:done])
        except Rejected as error:
            if error.reason == "tampered-blocks":
                remove_durably(journal)  # it lied, or the medium does: begin anew next time
            raise
        finally:
            os.close(descriptor)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise Unavailable(f"cannot write slot {device.name}: {why}") from error


def verify_device(device: Path, image: Image) -> None:
    """That `device` begins with the bytes of `image`, as it reads them. Raises
    `Rejected("tampered-blocks")`, `Unavailable`."""
    try:
        descriptor = _open(device, os.O_RDONLY)
        try:
            _verify_size(descriptor, image, device)
            verify_medium(descriptor, 0, image.groups)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Unavailable(f"cannot read slot {device.name}: {error.strerror}") from error


def _verify_kind(image: Image) -> None:
    verity = image.verity
    if image.kind == "tree" or verity is None:
        raise Rejected("malformed", "not an image for a slot of blocks")
    if image.kind == "bundle":
        return  # the root hash is of what is in it
    if image.size % BLOCK or hash_offset(verity) >= image.size:
        raise Rejected("malformed", "the image has no room for its hash tree")


def _open(device: Path, flags: int) -> int:
    """A block device only if nobody uses it (open(2), O_EXCL); a file as it is."""
    blocks = stat.S_ISBLK(os.stat(device).st_mode)
    return os.open(device, flags | os.O_CLOEXEC | (os.O_EXCL if blocks else 0))


def _verify_size(descriptor: int, image: Image, device: Path) -> None:
    room = os.lseek(descriptor, 0, os.SEEK_END)
    if room < image.size:
        message = f"slot {device.name} has {room} bytes, the firmware {image.size}"
        raise Rejected("slot-too-small", message, hint="build a smaller image")


def _key(image: Image) -> str:
    return hashlib.sha256(msgspec.json.encode(image, order="sorted")).hexdigest()


def _journalled(journal: Path, image: Image) -> int:
    try:
        data = read_bounded(journal, max_bytes=_JOURNAL_BYTES)
        found = decode_json(data, _Journal, max_bytes=_JOURNAL_BYTES)
    except (Rejected, Unavailable):
        return 0
    fits = found.blocks_sha256 == _key(image) and found.groups <= len(image.groups)
    return found.groups if fits else 0


def _write(
    descriptor: int,
    image: Image,
    read_group: ReadGroup,
    done: int,
    journal: Path,
    on_progress: Progress | None,
) -> None:
    offset = sum(group.size for group in image.groups[:done])
    key = _key(image)

    def keep(groups: int) -> None:
        write_atomic(journal, msgspec.json.encode(_Journal(blocks_sha256=key, groups=groups)))

    with Medium(descriptor, offset=offset, groups=done, journal=keep) as medium:
        for index in range(done, len(image.groups)):
            medium.put(image.groups[index], read_group(index))
            if on_progress is not None:
                on_progress(index + 1, len(image.groups))
        medium.settle()
