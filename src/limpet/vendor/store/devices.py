"""Devices and their certificates: rows in, rows out.

Owns the tables `devices` and `certificates`, and the bound on what is kept of one device
(`limpet.vendor.store._folding`). Decides nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects.sqlite import insert as upsert

from limpet.errors import Rejected

from ._folding import Certificate, choose_folded
from ._schema import certificates, devices

__all__ = ["Certificate", "DeviceRow", "Devices"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """What the vendor knows of one device; None where it has not reported yet."""

    serial: str
    model: str
    first_seen: datetime
    last_seen: datetime
    blocked_at: datetime | None
    blocked_reason: str | None
    kind: str | None
    running: str | None
    slot: str | None
    version: str | None
    reason: str | None
    detail: str | None
    reported_at: datetime | None
    certificates_folded: int  # issued, and no longer on record


class Devices:
    """Devices, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def see(self, serial: str, model: str, *, now: datetime) -> DeviceRow:
        """Remember that an authenticated device was here; its row."""
        fresh = upsert(devices).values(serial=serial, model=model, first_seen=now, last_seen=now)
        self._connection.execute(
            fresh.on_conflict_do_update(index_elements=["serial"], set_={"last_seen": now})
        )
        return self.require(serial)

    def find(self, serial: str) -> DeviceRow | None:
        """The device, if it was ever seen or blocked."""
        row = self._connection.execute(select(devices).where(devices.c.serial == serial)).first()
        return None if row is None else DeviceRow(**row._mapping)

    def require(self, serial: str) -> DeviceRow:
        """The device. Raises `Rejected("unknown-device")`."""
        row = self.find(serial)
        if row is None:
            raise Rejected("unknown-device", f"no device {serial} is known")
        return row

    def all(self) -> list[DeviceRow]:
        """Every device, by serial number."""
        rows = self._connection.execute(select(devices).order_by(devices.c.serial))
        return [DeviceRow(**row._mapping) for row in rows]

    def set_block(
        self, serial: str, model: str, *, now: datetime, blocked: bool, reason: str = ""
    ) -> None:
        """Block a device, seen before or not, or lift its block."""
        if self.find(serial) is None:
            fresh = insert(devices).values(
                serial=serial, model=model, first_seen=now, last_seen=now
            )
            self._connection.execute(fresh)
        change = {"blocked_at": now, "blocked_reason": reason} if blocked else _NO_BLOCK
        self._connection.execute(update(devices).where(devices.c.serial == serial).values(**change))

    def add_certificate(self, certificate: Certificate) -> None:
        """Record an issued certificate; earlier ones of the device that say no more are folded."""
        self._connection.execute(
            insert(certificates).values(
                sha256=certificate.sha256,
                serial=certificate.serial,
                purpose=certificate.purpose,
                spki_sha256=certificate.spki_sha256,
                issued_at=certificate.issued_at,
                not_after=certificate.not_after,
            )
        )
        self._fold(certificate.serial, now=certificate.issued_at)

    def _fold(self, serial: str, *, now: datetime) -> None:
        folded = choose_folded(self.certificates_of(serial), now=now)
        if folded:
            gone = delete(certificates).where(certificates.c.sha256 == bindparam("gone"))
            self._connection.execute(gone, [{"gone": sha256} for sha256 in folded])
            count = devices.c.certificates_folded + len(folded)
            own = update(devices).where(devices.c.serial == serial)
            self._connection.execute(own.values(certificates_folded=count))

    def certificates_of(self, serial: str) -> list[Certificate]:
        """The certificates on record of a device, oldest first."""
        query = select(certificates).where(certificates.c.serial == serial)
        rows = self._connection.execute(query.order_by(certificates.c.issued_at))
        return [Certificate(**row._mapping) for row in rows]

    def count_certificates(self, serial: str, *, since: datetime) -> int:
        """How many were issued to a device since then."""
        query = select(func.count()).select_from(certificates)
        query = query.where(certificates.c.serial == serial, certificates.c.issued_at >= since)
        return int(self._connection.execute(query).scalar_one())

    def certificate_counts(self) -> dict[str, int]:
        """How many certificates of each device are on record; of it, more may have been folded."""
        query = select(certificates.c.serial, func.count()).group_by(certificates.c.serial)
        return {row[0]: int(row[1]) for row in self._connection.execute(query)}

    def changed_keys(self) -> dict[tuple[str, str], list[str]]:
        """By serial and purpose, where there was ever more than one key: the keys, oldest first."""
        table = certificates.c
        several = (
            select(table.serial, table.purpose)
            .group_by(table.serial, table.purpose)
            .having(func.count(table.spki_sha256.distinct()) > 1)
        )
        query = select(table.serial, table.purpose, table.spki_sha256).where(
            tuple_(table.serial, table.purpose).in_(several)
        )
        keys: dict[tuple[str, str], list[str]] = {}
        for row in self._connection.execute(query.order_by(table.issued_at)):
            keys.setdefault((row.serial, row.purpose), []).append(str(row.spki_sha256))
        return keys

    def holder_of_key(self, spki_sha256: str) -> str | None:
        """The serial of the device that has a certificate for this key."""
        query = select(certificates.c.serial).where(certificates.c.spki_sha256 == spki_sha256)
        row = self._connection.execute(query.limit(1)).first()
        return None if row is None else str(row.serial)

    def holder_of_certificate(self, sha256: str) -> str | None:
        """The serial of the device that this certificate was issued to."""
        query = select(certificates.c.serial).where(certificates.c.sha256 == sha256)
        row = self._connection.execute(query).first()
        return None if row is None else str(row.serial)


_NO_BLOCK = {"blocked_at": None, "blocked_reason": None}
