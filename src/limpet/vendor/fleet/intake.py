"""One report in: stored, and counted as the attempt or the result that it is.

Owns the table from kinds of report to their meaning for a rollout. The time that
counts is the service's own; the device's is only stored.
"""

from dataclasses import dataclass
from datetime import datetime

from limpet.errors import Rejected
from limpet.vendor.enrollment import DeviceIdentity, IdentityKind
from limpet.vendor.store import Database, Devices, Outcomes, Rollouts
from limpet.wire.codec import decode_json
from limpet.wire.report import REPORT_BYTES, Report, ReportKind

__all__ = ["Intake"]

MAX_SEQUENCE = (1 << 63) - 1  # what a database keeps as one integer
_RESULTS = {ReportKind.CONFIRMED: True, ReportKind.FELL_BACK: False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Takes reports into the database."""

    database: Database
    models: tuple[str, ...]

    def take(self, client: DeviceIdentity, body: bytes, *, now: datetime) -> bool:
        """Store the report in `body`; False if it is stored already (a device sends again
        what it got no answer for). Raises `Rejected`: not-operational, malformed, too-large,
        wrong-model, blocked.
        """
        if client.kind is not IdentityKind.OPERATIONAL:
            raise Rejected("not-operational", "report with an operational certificate (LDevID)")
        report = decode_json(body, Report, max_bytes=REPORT_BYTES)
        if report.at.tzinfo is None or report.sequence > MAX_SEQUENCE:
            raise Rejected("malformed", "the report's time has no zone, or its number is too large")
        if report.model != client.model or client.model not in self.models:
            known = ", ".join(self.models)
            raise Rejected("wrong-model", f"this service knows {known} only")
        with self.database.transaction() as connection:
            if Devices(connection).see(client.serial, client.model, now=now).blocked_at is not None:
                raise Rejected("blocked", f"{client.serial} is blocked")
            outcomes = Outcomes(connection)
            if not outcomes.add_report(client.serial, report, now=now):
                return False
            # Hashes of the device's own making would let it fill the table, and those of another
            # model's release would let it halt what it cannot run.
            digest = report.manifest_sha256
            since = (
                Rollouts(connection).counted_from(digest, model=client.model) if digest else None
            )
            if digest and since is not None:
                _count(outcomes, digest, client.serial, report, since=since, now=now)
        return True


def _count(
    outcomes: Outcomes,
    digest: str,
    serial: str,
    report: Report,
    *,
    since: datetime,
    now: datetime,
) -> None:
    kind = report.kind
    if kind is ReportKind.ATTEMPT:
        outcomes.begin_attempt(digest, serial, since=since, now=now)
    elif kind in _RESULTS:
        outcomes.end_attempt(
            digest, serial, now=now, succeeded=_RESULTS[kind], reason=report.reason
        )
    elif kind is ReportKind.REFUSED:
        # A refusal before an attempt is a device that works; one after it is a failed attempt.
        found = outcomes.find_attempt(digest, serial)
        if found is not None and found.succeeded is None:
            outcomes.end_attempt(digest, serial, now=now, succeeded=False, reason=report.reason)
