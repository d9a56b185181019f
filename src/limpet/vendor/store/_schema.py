"""The tables, and how a time is kept in them.

Owns the schema and its version. A new version comes with a migration; a
database of another version is refused, never guessed at.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

__all__ = [
    "SCHEMA_VERSION",
    "attempts",
    "certificates",
    "devices",
    "metadata",
    "reports",
    "ring_members",
    "rings",
    "rollout_events",
    "rollouts",
    "withdrawn",
]

SCHEMA_VERSION = 5
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class UtcTime(TypeDecorator[datetime]):
    """A time with zone in Python, microseconds since 1970 UTC in the database: exact, sortable."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        """To the database."""
        return None if value is None else (value - EPOCH) // MICROSECOND

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        """From the database."""
        return None if value is None else EPOCH + value * MICROSECOND


metadata = MetaData()

devices = Table(
    "devices",
    metadata,
    Column("serial", String(32), primary_key=True),
    Column("model", String(63), nullable=False),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
    Column("blocked_at", UtcTime),
    Column("blocked_reason", Text),
    # The last report, as it came:
    Column("kind", String(16)),
    Column("running", String(32)),
    Column("slot", String(1)),
    Column("version", String(32)),
    Column("reason", String(64)),
    Column("detail", Text),
    Column("reported_at", UtcTime),
    # Certificates issued that are no longer on record:
    Column("certificates_folded", Integer, nullable=False, server_default="0"),
)

certificates = Table(
    "certificates",
    metadata,
    Column("sha256", String(64), primary_key=True),  # of the certificate
    Column("serial", String(32), ForeignKey("devices.serial"), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("spki_sha256", String(64), nullable=False, index=True),  # of its key
    Column("issued_at", UtcTime, nullable=False),
    Column("not_after", UtcTime, nullable=False),
    Index("certificates_by_device", "serial", "issued_at"),
)

reports = Table(
    "reports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("serial", String(32), ForeignKey("devices.serial"), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("at", UtcTime, nullable=False),  # the device's own clock
    Column("kind", String(16), nullable=False),
    Column("running", String(32), nullable=False),
    Column("slot", String(1), nullable=False),
    Column("version", String(32)),
    Column("manifest_sha256", String(64)),
    Column("reason", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Index("reports_once", "serial", "sequence", "at", unique=True),
)

# One row for each device and release: a device counts once, with its latest result.
attempts = Table(
    "attempts",
    metadata,
    Column("manifest_sha256", String(64), primary_key=True),
    Column("serial", String(32), ForeignKey("devices.serial"), primary_key=True),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("succeeded", Boolean),
    Column("reason", String(64), nullable=False, default=""),
)

# Each tick of a rollout asks who failed elsewhere: of years of attempts, few are failures.
Index(
    "attempts_failed",
    attempts.c.manifest_sha256,
    attempts.c.serial,
    sqlite_where=attempts.c.succeeded.is_(False),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model", String(63), nullable=False),
    Column("version", String(32), nullable=False),
    Column("manifest_sha256", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("rings", Text, nullable=False),  # JSON, in their order
    Column("steps", Text, nullable=False),  # JSON
    Column("step", Integer, nullable=False),  # index; -1: nothing is admitted yet
    Column("silent_seconds", Integer, nullable=False),
    Column("check_interval_seconds", Integer),
    Column("started_at", UtcTime, nullable=False),
    Column("step_at", UtcTime, nullable=False),
    Column("counted_from", UtcTime, nullable=False),  # earlier attempts are not evidence
    Column("completed_at", UtcTime),
    Column("reason", Text, nullable=False),
    # A plan that reflects the row is published when these two agree:
    Column("revision", Integer, nullable=False),
    Column("published", Integer, nullable=False),
    Column("test", Text, nullable=False),  # JSON: the health test's parameters
    Column("report_ppm", Integer, nullable=False),  # share of the fleet that reports
)

# Groups of devices that go first. A member may be named before it ever called: at its manufacture.
rings = Table(
    "rings",
    metadata,
    Column("model", String(63), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("rank", Integer, nullable=False),  # lower goes first
)

ring_members = Table(
    "ring_members",
    metadata,
    Column("serial", String(32), primary_key=True),  # a device is in one ring, or in none
    Column("model", String(63), nullable=False),
    Column("ring", String(32), nullable=False),
    ForeignKeyConstraint(["model", "ring"], ["rings.model", "rings.name"], ondelete="CASCADE"),
)

rollout_events = Table(
    "rollout_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rollout", Integer, ForeignKey("rollouts.id"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("event", String(16), nullable=False),
    Column("admitted_ppm", Integer, nullable=False),
    Column("detail", Text, nullable=False),
)

withdrawn = Table(
    "withdrawn",
    metadata,
    Column("manifest_sha256", String(64), primary_key=True),
    Column("model", String(63), nullable=False),
    Column("version", String(32), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("reason", Text, nullable=False),
)
