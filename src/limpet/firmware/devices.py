"""`slots/devices.json`: the slots of a device that are block devices, and who writes them.

Owns the file and its type. A device without the file has directories as slots. The factory
writes it; nothing that comes over the network can.
"""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from limpet.firmware.slots import SlotName
from limpet.storage import read_bounded
from limpet.wire.codec import Message, decode_json

__all__ = ["DEVICES_FILE", "RaucSlots", "SlotDevices", "load_devices"]

DEVICES_FILE = "devices.json"
_FILE_BYTES = 4 << 10
Absolute = Annotated[str, Meta(pattern=r"^/[A-Za-z0-9_./+:-]{1,200}\Z")]
RaucName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}\.[0-9]{1,2}\Z")]

BusAddress = Annotated[str, Meta(pattern=r"^(unix:[A-Za-z0-9_=/.,-]{1,200})?\Z")]


class RaucSlots(Message, frozen=True, kw_only=True):
    """The names that RAUC's system.conf gives the two slots, as `rootfs.0`."""

    a: RaucName
    b: RaucName
    bus: BusAddress = ""  # where RAUC's service is; empty: the system's

    def name_of(self, slot: SlotName) -> str:
        """RAUC's name of `slot`."""
        return self.a if slot == "a" else self.b


class SlotDevices(Message, frozen=True, kw_only=True):
    """The device of each slot; with `rauc`, RAUC writes them and limpet hands it bundles."""

    a: Absolute
    b: Absolute
    rauc: RaucSlots | None = None

    def device_of(self, slot: SlotName) -> Path:
        """The block device of `slot`."""
        return Path(self.a if slot == "a" else self.b)


def load_devices(root: Path) -> SlotDevices | None:
    """What the device at `root` says, None for directories. Raises `Unavailable`, `Rejected`."""
    file = root / "slots" / DEVICES_FILE
    if not file.exists():
        return None
    data = read_bounded(file, max_bytes=_FILE_BYTES)
    return decode_json(data, SlotDevices, max_bytes=_FILE_BYTES)
