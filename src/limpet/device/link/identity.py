"""`identity.json`: what a device is, in public. Written once, by the factory.

Owns the file's form. Its presence is what ends the factory state, so it is written
last and durably; nothing in it is secret (0644).
"""

from pathlib import Path

import msgspec

from limpet.errors import naming
from limpet.storage import read_bounded, write_atomic
from limpet.wire.codec import Message, Moment, decode_json, encode_json
from limpet.wire.factory import SeenVersions

__all__ = ["DeviceIdentity", "has_identity", "load_identity", "save_identity"]

_BYTES = 16 << 10
_NAME = "identity.json"


class DeviceIdentity(Message, frozen=True, kw_only=True, omit_defaults=True):
    """The identity that the label carries too (draft-moore, 5.3)."""

    maker: str
    model: str
    hardware_revision: str
    serial: str
    manufactured_at: Moment  # UTC
    seen: SeenVersions = msgspec.field(
        default_factory=dict
    )  # offline roles of the repository on that day (docs/adr/0112)


def has_identity(root: Path) -> bool:
    """Whether the factory finished this device."""
    return (root / _NAME).exists()


def load_identity(root: Path) -> DeviceIdentity:
    """The identity of the device at `root`. Raises `Unavailable`, `Rejected("malformed")`."""
    path = root / _NAME
    with naming(path, hint="is it a device's directory? restore the file if it was damaged"):
        return decode_json(read_bounded(path, max_bytes=_BYTES), DeviceIdentity, max_bytes=_BYTES)


def save_identity(root: Path, identity: DeviceIdentity) -> None:
    """Write it; durable on return. Raises `Unavailable`."""
    write_atomic(root / _NAME, encode_json(identity), mode=0o644)
