"""What the owner's machine remembers of each device.

Owns one file per device, readable by its owner alone: address, trusted root, and
the session's secrets. Never prints a secret, and reads no file that others
could have read or replaced.
"""

import contextlib
import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from limpet.errors import Rejected, Unavailable
from limpet.storage import make_directory, read_bounded, remove_durably, write_atomic

__all__ = ["DeviceRecord", "HouseholdRecord", "Store", "default_store"]

RECORD_BYTES = 64 << 10
MAX_DEVICES = 10_000
_SERIAL = re.compile(r"[A-Z0-9][A-Z0-9-]{2,31}")


class HouseholdRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The household's certificate on a device: names that the owner chose, and what it has."""

    hostnames: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()  # all addresses in the certificate
    until: datetime | None = None


class DeviceRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One device. `token` and `known` are secrets; empty without a session.

    `log_number` and `log_hash` are the newest entry of its security log that was seen here.
    """

    serial: str
    model: str
    url: str
    root_pem: str
    name: str = ""
    token: str = ""
    known: str = ""
    expires_at: datetime | None = None
    log_number: int = 0
    log_hash: str = ""
    household: HouseholdRecord | None = None

    def __repr__(self) -> str:
        return f"DeviceRecord(serial={self.serial!r}, url={self.url!r}, token=<secret>)"


class Store:
    """The records in one directory. Raises `Unavailable` where the disk does not serve."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.household = directory / "household"  # the owner's authority for browsers

    def save(self, record: DeviceRecord) -> None:
        """Keep `record` (mode 0600); durable on return."""
        make_directory(self.directory, mode=0o700)
        encoded = msgspec.json.format(msgspec.json.encode(record), indent=1)
        write_atomic(self._path(record.serial), encoded + b"\n", mode=0o600)

    def load(self, serial: str) -> DeviceRecord:
        """The record of `serial`. Raises `Rejected("unknown-device" | "bad-record")`."""
        path = self._path(serial)
        if not path.exists():
            raise Rejected(
                "unknown-device",
                f"no device {serial} is known here",
                hint="limpet owner list shows those that are",
            )
        self.verify_private(path)
        try:
            return msgspec.json.decode(
                read_bounded(path, max_bytes=RECORD_BYTES), type=DeviceRecord
            )
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Rejected(
                "bad-record", f"{path} is damaged", hint="remove it and log in again"
            ) from error

    def verify_private(self, path: Path) -> None:
        """Raise `Rejected("bad-record")` if others than the owner may read `path`."""
        with contextlib.suppress(OSError):
            if path.stat().st_mode & 0o077:
                raise Rejected(
                    "bad-record", f"{path} can be read by others", hint=f"chmod 600 {path}"
                )

    def serials(self) -> tuple[str, ...]:
        """The known devices, sorted."""
        if not self.directory.exists():
            return ()
        try:
            names = [entry.name for entry in os.scandir(self.directory)][:MAX_DEVICES]
        except OSError as error:
            reason = (error.strerror or "failed").lower()
            raise Unavailable(f"cannot read {self.directory}: {reason}") from error
        stems = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        return tuple(sorted(stem for stem in stems if _SERIAL.fullmatch(stem)))

    def choose(self, serial: str | None) -> DeviceRecord:
        """The device `serial` (also in lower case), or the only one that is known.

        Raises `Rejected("unknown-device")` where that is not one.
        """
        if serial:
            return self.load(serial.upper())
        known = self.serials()
        if len(known) == 1:
            return self.load(known[0])
        if not known:
            raise Rejected(
                "unknown-device", "no device is known here yet", hint="limpet owner claim URL …"
            )
        raise Rejected(
            "unknown-device",
            f"{len(known)} devices are known here; say which",
            hint=f"--device {known[0]} (limpet owner list shows all)",
        )

    def forget(self, serial: str) -> None:
        """Remove the record of `serial` if there is one."""
        if self.directory.exists():
            remove_durably(self._path(serial))

    def _path(self, serial: str) -> Path:
        if not _SERIAL.fullmatch(serial):
            raise Rejected("unknown-device", "that is not a serial number")
        return self.directory / f"{serial}.json"


def default_store(environment: Mapping[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/limpet/devices`, by default below `~/.config` (XDG Base Directory)."""
    base = environment.get("XDG_CONFIG_HOME", "")
    # The specification: a relative path is to be ignored.
    if os.path.isabs(base):
        return Path(base) / "limpet" / "devices"
    home = environment.get("HOME", "")
    if not home:
        raise Unavailable("there is no home directory", hint="say --store DIR")
    return Path(home) / ".config" / "limpet" / "devices"
