"""What the supervisor tells the outside: `run/status.json` and `run/listening.json`.

Owns the two files' forms; `limpet device status` and the audit read them. They
hold nothing secret (0644), and losing them costs nothing.
"""

from datetime import datetime
from pathlib import Path

import msgspec

from limpet.device.link.entropy import RandomnessReport
from limpet.device.link.messages import Confinement
from limpet.errors import Rejected, Unavailable
from limpet.storage import read_bounded, remove_durably, write_atomic
from limpet.wire.codec import decode_json, encode_json

__all__ = [
    "DeviceStatus",
    "Listening",
    "RoleStatus",
    "forget_listening",
    "read_listening",
    "read_remote",
    "read_status",
    "write_listening",
    "write_remote",
    "write_status",
]

FILE_BYTES = 64 << 10


class RoleStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One role as the supervisor sees it."""

    role: str
    pid: int
    state: str  # starting, running, resting, stopped
    restarts: int
    confinement: tuple[Confinement, ...] = ()


class DeviceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The running device."""

    supervisor_pid: int
    slot: str
    version: str
    on_trial: bool
    started_at: datetime  # UTC
    suite: str = ""  # of algorithms, with its version
    roles: tuple[RoleStatus, ...]
    randomness: RandomnessReport | None = None


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """Where the gateway accepts."""

    host: str
    port: int


def write_status(root: Path, status: DeviceStatus) -> None:
    """Replace `run/status.json`. Raises `Unavailable`."""
    write_atomic(root / "run" / "status.json", encode_json(status), mode=0o644)


def read_status(root: Path) -> DeviceStatus:
    """The last status. Raises `Unavailable`, `Rejected("malformed")`."""
    data = read_bounded(root / "run" / "status.json", max_bytes=FILE_BYTES)
    return decode_json(data, DeviceStatus, max_bytes=FILE_BYTES)


def write_listening(root: Path, listening: Listening) -> None:
    """Replace `run/listening.json`. Raises `Unavailable`."""
    write_atomic(root / "run" / "listening.json", encode_json(listening), mode=0o644)


def forget_listening(root: Path) -> None:
    """Remove `run/listening.json`: nobody accepts now. Raises `Unavailable`."""
    remove_durably(root / "run" / "listening.json")


def write_remote(root: Path, *, allowed: bool) -> None:
    """Replace `run/remote.json`. Raises `Unavailable`."""
    write_atomic(root / "run" / "remote.json", encode_json({"allowed": allowed}), mode=0o644)


def read_remote(root: Path) -> bool:
    """Whether the product's code may use the Internet; what was never said is allowed, and the
    updater says it anew at each of its starts."""
    try:
        data = read_bounded(root / "run" / "remote.json", max_bytes=FILE_BYTES)
        return decode_json(data, dict[str, bool], max_bytes=FILE_BYTES).get("allowed", True)
    except (Unavailable, Rejected):
        return True


def read_listening(root: Path) -> Listening | None:
    """Where the gateway accepted last, or None."""
    try:
        data = read_bounded(root / "run" / "listening.json", max_bytes=FILE_BYTES)
        return decode_json(data, Listening, max_bytes=FILE_BYTES)
    except (Unavailable, Rejected):
        return None
