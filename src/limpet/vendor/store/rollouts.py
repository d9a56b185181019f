"""Rollouts, their history, and the releases that were withdrawn: rows in, rows out.

Owns the tables `rollouts`, `rollout_events` and `withdrawn`. Decides nothing.
"""

import enum
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from ._schema import rollout_events, rollouts, withdrawn

__all__ = ["ErrorRates", "Ring", "RolloutEvent", "RolloutRow", "RolloutState", "Rollouts", "Step"]


class RolloutState(enum.Enum):
    """The life of a rollout."""

    RUNNING = "running"
    PAUSED = "paused"  # an operator holds it
    HALTED = "halted"  # the health test stopped it
    WITHDRAWN = "withdrawn"  # its release is refused from now on
    REPLACED = "replaced"  # another rollout took its place


class Step(msgspec.Struct, frozen=True):
    """One step: the share admitted, and how long it lasts at least."""

    ppm: int  # of the fleet, 0 to 1,000,000; 0 admits a ring and nobody else
    wait_seconds: int


class Ring(msgspec.Struct, frozen=True):
    """Named devices that go before any share; the n-th ring has the n-th step."""

    name: str
    serials: tuple[str, ...]


class ErrorRates(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of the rollout's health test, see `limpet.vendor.rollout.health`."""

    tolerable: float
    intolerable: float
    alpha: float
    beta: float
    distrust: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRow:
    """One rollout of one release."""

    id: int
    model: str
    version: str
    manifest_sha256: str
    state: RolloutState
    rings: tuple[Ring, ...]
    steps: tuple[Step, ...]
    step: int  # index into steps; -1: nothing is admitted yet
    silent_seconds: int
    check_interval_seconds: int | None
    started_at: datetime
    step_at: datetime
    counted_from: datetime
    completed_at: datetime | None
    reason: str
    revision: int
    published: int
    test: ErrorRates
    report_ppm: int  # of the fleet: only these devices, and rings, report and count

    @property
    def admitted_ppm(self) -> int:
        """The share admitted now."""
        return self.steps[self.step].ppm if self.step >= 0 else 0

    @property
    def canaries(self) -> tuple[str, ...]:
        """The members of all rings."""
        return tuple(serial for ring in self.rings for serial in ring.serials)

    @property
    def admitted_rings(self) -> tuple[Ring, ...]:
        """The rings admitted now."""
        return self.rings[: self.step + 1]

    @property
    def previous_ppm(self) -> int:
        """The share admitted before the last step."""
        return self.steps[self.step - 1].ppm if self.step >= 1 else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEvent:
    """Something that happened to a rollout."""

    at: datetime
    event: str
    admitted_ppm: int
    detail: str


class Rollouts:
    """Rollouts, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, **values: Any) -> RolloutRow:
        """Begin a rollout; `values` are the fields of `RolloutRow` without id."""
        fresh = insert(rollouts).values(**_packed(values)).returning(rollouts.c.id)
        return self.get(int(self._connection.execute(fresh).scalar_one()))

    def get(self, number: int) -> RolloutRow:
        """The rollout with that id."""
        row = self._connection.execute(select(rollouts).where(rollouts.c.id == number)).one()
        return _unpacked(row._mapping)

    def latest(self, model: str) -> RolloutRow | None:
        """The rollout that the model's plan is about."""
        query = select(rollouts).where(rollouts.c.model == model)
        row = self._connection.execute(query.order_by(rollouts.c.id.desc()).limit(1)).first()
        return None if row is None else _unpacked(row._mapping)

    def former(self) -> list[RolloutRow]:
        """The last rollout of each release that no model's plan is about now."""
        newest = func.max(rollouts.c.id)
        current = select(newest).group_by(rollouts.c.model)
        of_current = select(rollouts.c.manifest_sha256).where(rollouts.c.id.in_(current))
        last = (
            select(newest)
            .where(rollouts.c.manifest_sha256.not_in(of_current))
            .group_by(rollouts.c.manifest_sha256)
        )
        query = select(rollouts).where(rollouts.c.id.in_(last)).order_by(rollouts.c.id)
        return [_unpacked(row._mapping) for row in self._connection.execute(query)]

    def counted_from(self, manifest_sha256: str, *, model: str) -> datetime | None:
        """From when on attempts at the release are evidence; None if `model` never had it."""
        query = select(rollouts.c.counted_from).where(
            rollouts.c.manifest_sha256 == manifest_sha256, rollouts.c.model == model
        )
        row = self._connection.execute(query.order_by(rollouts.c.id.desc()).limit(1)).first()
        return None if row is None else row.counted_from

    def change(self, row: RolloutRow, **values: Any) -> RolloutRow:
        """Change a rollout; its plan has to be published anew."""
        values["revision"] = row.revision + 1
        self._connection.execute(
            update(rollouts).where(rollouts.c.id == row.id).values(**_packed(values))
        )
        return self.get(row.id)

    def set_published(self, row: RolloutRow) -> None:
        """The plan of this revision of the row is public."""
        self._connection.execute(
            update(rollouts).where(rollouts.c.id == row.id).values(published=row.revision)
        )

    def log(self, row: RolloutRow, event: str, *, now: datetime, detail: str = "") -> None:
        """Add to the rollout's history."""
        self._connection.execute(
            insert(rollout_events).values(
                rollout=row.id, at=now, event=event, admitted_ppm=row.admitted_ppm, detail=detail
            )
        )

    def history(self, row: RolloutRow) -> list[RolloutEvent]:
        """The rollout's history, oldest first."""
        columns = [rollout_events.c[field.name] for field in fields(RolloutEvent)]
        query = select(*columns).where(rollout_events.c.rollout == row.id)
        found = self._connection.execute(query.order_by(rollout_events.c.id))
        return [RolloutEvent(**event._mapping) for event in found]

    def withdraw(
        self, manifest_sha256: str, *, model: str, version: str, now: datetime, reason: str
    ) -> None:
        """Remember for good that a release was withdrawn."""
        fresh = upsert(withdrawn).values(
            manifest_sha256=manifest_sha256, model=model, version=version, at=now, reason=reason
        )
        self._connection.execute(fresh.on_conflict_do_nothing())

    def withdrawn(self, model: str) -> tuple[str, ...]:
        """Manifest hashes of the model's withdrawn releases, newest first."""
        query = select(withdrawn.c.manifest_sha256).where(withdrawn.c.model == model)
        ordered = query.order_by(withdrawn.c.at.desc(), withdrawn.c.manifest_sha256)
        return tuple(row.manifest_sha256 for row in self._connection.execute(ordered))


def _packed(values: dict[str, Any]) -> dict[str, Any]:
    packed = dict(values)
    if "state" in packed:
        packed["state"] = packed["state"].value
    for name in ("rings", "steps", "test"):
        if name in packed:
            packed[name] = msgspec.json.encode(packed[name]).decode()
    return packed


def _unpacked(row: Any) -> RolloutRow:
    values = dict(row)
    values["state"] = RolloutState(values["state"])
    values["rings"] = msgspec.json.decode(values["rings"], type=tuple[Ring, ...])
    values["steps"] = msgspec.json.decode(values["steps"], type=tuple[Step, ...])
    values["test"] = msgspec.json.decode(values["test"], type=ErrorRates)
    return RolloutRow(**values)
