"""The fleet as the vendor's people see it: one line a device.

Owns the shape of that line. Reads only.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from limpet.vendor.store import Database, Devices

__all__ = ["FleetDevice", "is_doubled", "view_fleet"]


class FleetDevice(msgspec.Struct, frozen=True, kw_only=True):
    """One device; fields are empty until it has reported."""

    serial: str
    model: str
    running: str  # firmware version
    slot: str
    state: str  # the kind of its last report
    version: str  # the release that the report is about
    reason: str
    detail: str
    blocked: bool
    certificates: int  # operational ones issued so far
    doubled: bool  # two machines have its identity: see `is_doubled`
    first_seen: datetime
    last_seen: datetime
    reported_at: datetime | None


def is_doubled(keys: Sequence[str]) -> bool:
    """Whether certificates for `keys`, oldest first, were asked for by two machines.

    A device keeps a key until it loses it (a factory reset, damage), and then never has it again.
    A key that comes back after another is held by a second machine with the same permanent
    identity: its directory was copied. A copy that was made after the key was, is not seen.
    """
    left: set[str] = set()
    current = ""
    for key in keys:
        if key != current:
            if key in left:
                return True
            left.add(current)
            current = key
    return False


def view_fleet(database: Database) -> tuple[FleetDevice, ...]:
    """Every device, by serial number."""
    with database.reading() as connection:
        devices = Devices(connection)
        issued = devices.certificate_counts()
        doubled = {
            serial for (serial, _), keys in devices.changed_keys().items() if is_doubled(keys)
        }
        rows = devices.all()
    return tuple(
        FleetDevice(
            serial=row.serial,
            model=row.model,
            running=row.running or "",
            slot=row.slot or "",
            state=row.kind or "",
            version=row.version or "",
            reason=row.reason or "",
            detail=row.detail or "",
            blocked=row.blocked_at is not None,
            certificates=issued.get(row.serial, 0) + row.certificates_folded,
            doubled=row.serial in doubled,
            first_seen=row.first_seen,
            last_seen=row.last_seen,
            reported_at=row.reported_at,
        )
        for row in rows
    )
