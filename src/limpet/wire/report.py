"""What a device tells its vendor: one typed report for each thing that happened.

Sent as JSON over TLS with the device's certificate, so the vendor takes the
serial number from the certificate and not from the report. Carries no data of
the owner.
"""

import enum
from typing import Annotated, Literal

from msgspec import Meta

from limpet.wire.codec import Message, Moment
from limpet.wire.release import Digest, ModelName, Version

__all__ = ["REPORT_BYTES", "Report", "ReportKind"]

REPORT_BYTES = 4 << 10


class ReportKind(enum.Enum):
    """The device's progress with one release."""

    RUNNING = "running"  # a check was made; nothing to install
    HELD = "held"  # a release is there, and waits (reason says for what)
    ATTEMPT = "attempt"  # an installation begins; a result must follow
    INSTALLED = "installed"  # written to the inactive slot and activated
    CONFIRMED = "confirmed"  # the new slot passed its health check
    FELL_BACK = "fell-back"  # the new slot failed, the old one runs again
    REFUSED = "refused"  # the release or its metadata was rejected (reason says why)


class Report(Message, frozen=True, kw_only=True):
    """One event."""

    spec: Literal["limpet-report-1"] = "limpet-report-1"
    model: ModelName
    kind: ReportKind
    running: Version  # the firmware that runs now
    slot: Literal["a", "b"]
    version: Version | None = None  # the release that the event is about
    manifest_sha256: Digest | None = None
    reason: Annotated[str, Meta(max_length=64)] = ""  # a stable kebab-case word
    detail: Annotated[str, Meta(max_length=400)] = ""  # for a person
    sequence: Annotated[int, Meta(ge=0)]  # counts up on the device
    at: Moment  # UTC, the device's own time
