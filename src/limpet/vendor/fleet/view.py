"""The fleet as the vendor's people see it: one line a device.

Owns the shape of that line. Reads only.
"""

from datetime import datetime

import msgspec

from limpet.vendor.store import Database, Devices

__all__ = ["FleetDevice", "view_fleet"]


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
    first_seen: datetime
    last_seen: datetime
    reported_at: datetime | None


def view_fleet(database: Database) -> tuple[FleetDevice, ...]:
    """Every device, by serial number."""
    with database.transaction() as connection:
        devices = Devices(connection)
        issued = devices.certificate_counts()
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
            certificates=issued.get(row.serial, 0),
            first_seen=row.first_seen,
            last_seen=row.last_seen,
            reported_at=row.reported_at,
        )
        for row in rows
    )
