"""How a rollout stands, for people and programs.

Owns the shape of the answer, and reads it together. Changes nothing.
"""

from datetime import datetime

import msgspec

from limpet.vendor.store import RolloutEvent, RolloutRow, Rollouts
from limpet.wire.rollout import WHOLE_PPM, PlanState

from .decision import Decision, decide_step
from .engine import Rollout, evidence_of, signed_bounds
from .evidence import Evidence
from .plan import make_plan

__all__ = ["Estimate", "HistoryEntry", "RingStatus", "RolloutStatus", "TestStatus", "status"]


class TestStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The health test: where its evidence stands between its two bounds."""

    __test__ = False  # a name that pytest would take for its own

    health: str
    evidence: float
    halt_at: float
    pass_at: float
    passed: int
    tolerable: float
    intolerable: float
    alpha: float
    beta: float
    distrust: int


class RingStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One ring of the rollout, in the order in which they go."""

    name: str
    serials: tuple[str, ...]
    admitted: bool


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What the sample says of the whole fleet: its counts divided by its share, rings as they are.

    The sample is a hash, so the share that fails is the same in it and outside of it, but for
    chance: of n failures in the sample about the square root of n, times the divisor.
    """

    succeeded: int
    failed: int  # silent ones included


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the rollout."""

    at: datetime
    event: str
    admitted_ppm: int
    detail: str


class RolloutStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One model's rollout; without a version there is none yet."""

    model: str
    state: PlanState
    version: str | None = None
    manifest_sha256: str | None = None
    complete: bool = False
    step: int = 0  # counted from 1; 0: nothing is admitted yet
    steps: int = 0
    admitted_ppm: int = 0
    canaries: tuple[str, ...] = ()  # the members of all rings
    rings: tuple[RingStatus, ...] = ()
    succeeded: int = 0
    failed: int = 0
    silent: int = 0
    pending: int = 0
    report_ppm: int = WHOLE_PPM  # share of the fleet that reports and is counted
    estimate: Estimate | None = None  # of the fleet, where not all of it reports
    waiting_for: str = ""
    detail: str = ""
    test: TestStatus | None = None
    withdrawn: tuple[str, ...] = ()
    history: tuple[HistoryEntry, ...] = ()


def status(rollout: Rollout) -> RolloutStatus:
    """How the model's rollout stands now, and what it waits for."""
    with rollout.database.reading() as connection:
        rollouts, now = Rollouts(connection), rollout.clock()
        row = rollouts.latest(rollout.model)
        withdrawn = rollouts.withdrawn(rollout.model)
        state = make_plan(rollout.model, row, withdrawn, now=now).state
        if row is None:
            return RolloutStatus(model=rollout.model, state=state, withdrawn=withdrawn)
        evidence = evidence_of(connection, row, now)
        history = rollouts.history(row)
    decision = decide_step(row, evidence, signed_bounds(rollout, row), now=now)
    told = _describe(row, evidence, decision, history)
    return msgspec.structs.replace(
        told, state=state, withdrawn=withdrawn, test=_test_status(evidence)
    )


def _describe(
    row: RolloutRow, evidence: Evidence, decision: Decision, history: list[RolloutEvent]
) -> RolloutStatus:
    return RolloutStatus(
        model=row.model,
        state=PlanState.IDLE,
        version=row.version,
        manifest_sha256=row.manifest_sha256,
        complete=row.completed_at is not None,
        step=row.step + 1,
        steps=len(row.steps),
        admitted_ppm=row.admitted_ppm,
        canaries=row.canaries,
        rings=tuple(
            RingStatus(name=ring.name, serials=ring.serials, admitted=number <= row.step)
            for number, ring in enumerate(row.rings)
        ),
        succeeded=evidence.succeeded,
        failed=evidence.failed,
        silent=evidence.silent,
        pending=evidence.pending,
        report_ppm=row.report_ppm,
        estimate=_estimate(evidence, row.report_ppm),
        waiting_for=getattr(decision, "reason", ""),
        detail=getattr(decision, "detail", ""),
        history=tuple(
            HistoryEntry(at=e.at, event=e.event, admitted_ppm=e.admitted_ppm, detail=e.detail)
            for e in history
        ),
    )


def _estimate(evidence: Evidence, rate_ppm: int) -> Estimate | None:
    if rate_ppm == WHOLE_PPM:
        return None

    def whole(counted: int, in_rings: int) -> int:
        return in_rings + round((counted - in_rings) * WHOLE_PPM / rate_ppm)

    rings = evidence.rings
    return Estimate(
        succeeded=whole(evidence.succeeded, sum(ring.succeeded for ring in rings)),
        failed=whole(evidence.failed + evidence.silent, sum(ring.failed for ring in rings)),
    )


def _test_status(evidence: Evidence) -> TestStatus:
    verdict = evidence.verdict
    test = verdict.test
    return TestStatus(
        health=verdict.health.value,
        evidence=round(verdict.evidence, 4),
        halt_at=round(verdict.halt_at, 4),
        pass_at=round(test.pass_at, 4),
        passed=verdict.passed,
        tolerable=test.tolerable,
        intolerable=test.intolerable,
        alpha=test.alpha,
        beta=test.beta,
        distrust=test.distrust,
    )
