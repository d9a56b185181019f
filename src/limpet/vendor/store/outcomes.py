"""Reports, and what each device's latest attempt at a release came to.

Owns the tables `reports` and `attempts`, and the bound on reports kept of one
device. Decides nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert

from limpet.wire.report import Report, ReportKind

from ._schema import attempts, devices, reports, rollouts

__all__ = ["REPORTS_PER_DEVICE", "RUNNING_PER_DEVICE", "Ages", "Attempt", "Outcomes"]

REPORTS_PER_DEVICE = 64
"""Kept of one device, the newest: of a release a month, those of about a year and a half."""

RUNNING_PER_DEVICE = 8
"""Of these, that there is nothing to install: said each day. A device sends again only what it got
no answer for, and in order, so that a few are enough to know a repetition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One device's latest attempt at one release; `succeeded` is None while it goes on."""

    serial: str
    started_at: datetime
    ended_at: datetime | None
    succeeded: bool | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """Attempts that ended (or began, and never ended) before these times are old."""

    before: datetime
    failed_before: datetime


class Outcomes:
    """Reports and attempts, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_report(self, serial: str, report: Report, *, now: datetime) -> bool:
        """Store a report as the device's latest; False if it was there already (sent twice)."""
        values = {
            "kind": report.kind.value,
            "running": report.running,
            "slot": report.slot,
            "version": report.version,
            "reason": report.reason,
            "detail": report.detail,
        }
        fresh = upsert(reports).values(
            serial=serial,
            received_at=now,
            sequence=report.sequence,
            at=report.at,
            manifest_sha256=report.manifest_sha256,
            **values,
        )
        # RETURNING: a conflict leaves sqlite's last row id as it was.
        result = self._connection.execute(fresh.on_conflict_do_nothing().returning(reports.c.id))
        if result.first() is None:
            return False
        latest = update(devices).where(devices.c.serial == serial)
        self._connection.execute(latest.values(reported_at=now, **values))
        self._forget_old(serial, reports.c.kind == ReportKind.RUNNING.value, RUNNING_PER_DEVICE)
        self._forget_old(serial, true(), REPORTS_PER_DEVICE)
        return True

    def _forget_old(self, serial: str, which: ColumnElement[bool], kept: int) -> None:
        newest = select(reports.c.id).where(reports.c.serial == serial, which)
        edge = newest.order_by(reports.c.id.desc()).offset(kept).limit(1)
        self._connection.execute(
            delete(reports).where(
                reports.c.serial == serial, which, reports.c.id <= edge.scalar_subquery()
            )
        )

    def reports_of(self, serial: str) -> list[dict[str, Any]]:
        """The reports kept of a device, oldest first."""
        query = select(reports).where(reports.c.serial == serial).order_by(reports.c.id)
        return [dict(row._mapping) for row in self._connection.execute(query)]

    def begin_attempt(
        self, manifest_sha256: str, serial: str, *, since: datetime, now: datetime
    ) -> None:
        """The device began to install. An attempt from `since` on stands until its result comes.

        Whoever begins again and again thus neither stays without a result for ever nor takes a
        failure back.
        """
        found = self.find_attempt(manifest_sha256, serial)
        if found is not None and found.started_at >= since:
            return
        self._put(manifest_sha256, serial, started_at=now, ended_at=None, succeeded=None, reason="")

    def end_attempt(
        self, manifest_sha256: str, serial: str, *, now: datetime, succeeded: bool, reason: str
    ) -> None:
        """The device's result; its attempt's start is kept if it was reported."""
        found = self.find_attempt(manifest_sha256, serial)
        self._put(
            manifest_sha256,
            serial,
            started_at=found.started_at if found else now,
            ended_at=now,
            succeeded=succeeded,
            reason=reason,
        )

    def find_attempt(self, manifest_sha256: str, serial: str) -> Attempt | None:
        """The device's latest attempt at the release."""
        query = _ATTEMPT.where(
            attempts.c.manifest_sha256 == manifest_sha256, attempts.c.serial == serial
        )
        row = self._connection.execute(query).first()
        return None if row is None else Attempt(**row._mapping)

    def attempts_at(self, manifest_sha256: str, *, since: datetime) -> list[Attempt]:
        """Every device's latest attempt at the release that began at `since` or later."""
        query = _ATTEMPT.where(
            attempts.c.manifest_sha256 == manifest_sha256, attempts.c.started_at >= since
        )
        return [Attempt(**row._mapping) for row in self._connection.execute(query)]

    def failures_elsewhere(self, manifest_sha256: str) -> dict[str, int]:
        """By device: on how many other releases it failed whose rollout the fleet completed."""
        healthy = select(rollouts.c.manifest_sha256).where(rollouts.c.completed_at.is_not(None))
        query = select(attempts.c.serial, func.count()).where(
            attempts.c.succeeded.is_(False),
            attempts.c.manifest_sha256 != manifest_sha256,
            attempts.c.manifest_sha256.in_(healthy),
        )
        found = self._connection.execute(query.group_by(attempts.c.serial))
        return {row[0]: int(row[1]) for row in found}

    def count_attempts(self, manifest_sha256: str) -> dict[bool | None, int]:
        """How many attempts at the release succeeded, failed, and never had a result."""
        query = select(attempts.c.succeeded, func.count()).where(
            attempts.c.manifest_sha256 == manifest_sha256
        )
        found = self._connection.execute(query.group_by(attempts.c.succeeded))
        return {row[0]: int(row[1]) for row in found}

    def has_old_attempts(self, manifest_sha256: str, ages: Ages) -> bool:
        """Whether `forget_attempts` would find any."""
        query = select(_ROW).select_from(attempts).where(*_old(manifest_sha256, ages)).limit(1)
        return self._connection.execute(query).first() is not None

    def forget_attempts(self, manifest_sha256: str, ages: Ages, *, limit: int) -> int:
        """Forget at most `limit` old attempts at the release; how many."""
        some = select(_ROW).select_from(attempts).where(*_old(manifest_sha256, ages)).limit(limit)
        return self._connection.execute(delete(attempts).where(_ROW.in_(some))).rowcount

    def newest_report(self) -> int:
        """A mark of this moment, for `has_news`."""
        newest = self._connection.execute(select(func.max(reports.c.id))).scalar_one()
        return int(newest or 0)

    def has_news(self, manifest_sha256: str, kinds: Sequence[ReportKind], *, since: int) -> bool:
        """Whether a report of one of `kinds` on the release came after that mark."""
        fresh = select(reports.c.id).where(
            reports.c.id > since,
            reports.c.manifest_sha256 == manifest_sha256,
            reports.c.kind.in_([kind.value for kind in kinds]),
        )
        return self._connection.execute(fresh.limit(1)).first() is not None

    def count_reports(self) -> int:
        """All reports kept."""
        return int(self._connection.execute(select(func.count()).select_from(reports)).scalar_one())

    def _put(self, manifest_sha256: str, serial: str, **values: Any) -> None:
        fresh = upsert(attempts).values(manifest_sha256=manifest_sha256, serial=serial, **values)
        keys = ["manifest_sha256", "serial"]
        self._connection.execute(fresh.on_conflict_do_update(index_elements=keys, set_=values))


def _old(manifest_sha256: str, ages: Ages) -> tuple[ColumnElement[bool], ...]:
    last = func.coalesce(attempts.c.ended_at, attempts.c.started_at)
    failed = attempts.c.succeeded.is_(False)
    return (
        attempts.c.manifest_sha256 == manifest_sha256,
        or_(last < ages.failed_before, and_(not_(failed), last < ages.before)),
    )


_ROW: ColumnElement[int] = literal_column("rowid")

_ATTEMPT = select(
    attempts.c.serial,
    attempts.c.started_at,
    attempts.c.ended_at,
    attempts.c.succeeded,
    attempts.c.reason,
)
