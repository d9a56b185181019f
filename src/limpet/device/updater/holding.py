"""Whether a release that may be installed now may also be fetched now.

Owns the rules that follow those of `limpet.firmware.decision` (1 to 18), and the look at the disk;
acts on nothing. Each hold is seen by the owner with its reason.

    19 the owner's network is not metered, or the release is urgent, or the owner agrees
    20 the server's answer to the file was not final under this metadata
    21 something is left of the day's bytes and tries
    22 the disk has room for all of it
"""

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from limpet.device.updater.ledger import Ledger, Spent, decide_allowance, is_refused
from limpet.firmware.decision import FAILED_BEFORE, INTERFACE_CHANGE, OWNER_HOLDS, Hold
from limpet.storage import DISK_FULL
from limpet.wire.release import Image

__all__ = [
    "CONSENT_ENDS",
    "DAY_LIMIT",
    "FILE_REFUSED",
    "LOW_DISK",
    "Room",
    "decide_transfer",
    "lacks_room",
    "measure_room",
]

DAY_LIMIT, FILE_REFUSED, LOW_DISK = "day-limit", "file-refused", "low-disk"
_METERED = "metered"

CONSENT_ENDS = OWNER_HOLDS | {FAILED_BEFORE, INTERFACE_CHANGE, _METERED}
"""The reasons that the owner's consent overrules (14 to 19)."""

_SPARE_BYTES = 4 << 20
"""Beyond the tree: directories, journal, records, the device's own logs."""

_ROUNDING = 32
"""One part in so many for blocks that files fill in part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Bytes: `free` for this process, `there` of the new tree already, and how often the whole tree
    is on the disk at the worst moment, beside the slots."""

    free: int
    there: int
    copies: int

    def missing(self, image: Image) -> int:
        """How many bytes are lacking for `image`, whether it comes whole or as a delta: a delta
        saves what is sent, never what is written. A slot that is a block device has its own."""
        copied = 0 if image.kind == "block" else image.size + image.size // _ROUNDING
        needed = self.copies * copied + _SPARE_BYTES
        return max(0, needed - self.there - self.free)


def decide_transfer(
    image: Image,
    *,
    path: str,
    metered: bool,
    urgent: bool,
    consent: bool,
    ledger: Ledger,
    metadata: str,
    room: Room,
    now: datetime,
) -> Hold | None:
    """Why the file `path`, which makes `image`, is not fetched at `now` (UTC), or None.

    `urgent`: an offline key has said that what runs is not safe. `metadata` names what is in force.
    """
    # 19
    if metered and not (urgent or consent):
        return Hold(_METERED, "metered network: fetched on your word, or on another network")
    # 20
    status = is_refused(ledger, path, metadata=metadata)
    if status is not None:
        return Hold(
            FILE_REFUSED,
            f"the vendor answered {status} for its file, and has published nothing since",
        )
    # 21
    allowed = decide_allowance(ledger, path, now)
    if isinstance(allowed, Spent):
        return Hold(DAY_LIMIT, allowed.text)
    # 22
    missing = room.missing(image)
    if missing:
        return Hold(LOW_DISK, f"{_mib(missing)} more of free disk are needed")
    return None


def lacks_room(reason: str) -> bool:
    """Whether what ended a check is the want of room on the disk."""
    return reason in (LOW_DISK, DISK_FULL)


def measure_room(staging: Path, part: Path) -> Room:
    """The room below `staging`, where `part` is what an installation has written. Raises `OSError`.

    Where the supervisor is another user than this process, it copies the finished tree.
    """
    found = os.statvfs(staging)
    device = staging.parent.parent
    copies = 1 if device.stat().st_uid == os.geteuid() else 2
    there = sum(
        (Path(directory) / name).lstat().st_blocks * 512
        for directory, _, names in os.walk(part)
        for name in names
    )
    return Room(free=found.f_bavail * found.f_frsize, there=there, copies=copies)


def _mib(count: int) -> str:
    return f"{count / (1 << 20):.1f} MiB"
