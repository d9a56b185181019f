"""The plan that follows from a rollout's row.

Owns the translation. Pure; whoever calls it publishes.
"""

from collections.abc import Sequence
from datetime import datetime

from limpet.vendor.store import RolloutRow, RolloutState
from limpet.wire.rollout import MAX_WITHDRAWN, Plan, PlannedRelease, PlanState, device_tag

__all__ = ["make_plan"]

_STATES = {
    RolloutState.RUNNING: PlanState.RUNNING,
    RolloutState.PAUSED: PlanState.PAUSED,
    RolloutState.HALTED: PlanState.HALTED,
    RolloutState.WITHDRAWN: PlanState.WITHDRAWN,
    RolloutState.REPLACED: PlanState.IDLE,
}


def make_plan(
    model: str, row: RolloutRow | None, withdrawn: Sequence[str], *, now: datetime
) -> Plan:
    """What devices of `model` are offered; a ring is admitted from its own step on."""
    known = tuple(withdrawn[:MAX_WITHDRAWN])
    if row is None:
        return Plan(model=model, state=PlanState.IDLE, withdrawn=known, issued_at=now)
    return Plan(
        model=model,
        state=_STATES[row.state],
        release=PlannedRelease(version=row.version, manifest_sha256=row.manifest_sha256),
        admitted_ppm=row.admitted_ppm,
        previous_ppm=row.previous_ppm,
        # Sorted, so that the order says nothing of who is who.
        named=tuple(
            sorted(
                device_tag(row.manifest_sha256, serial)
                for ring in row.admitted_rings
                for serial in ring.serials
            )
        ),
        withdrawn=known,
        check_interval_seconds=row.check_interval_seconds,
        report_ppm=row.report_ppm,
        issued_at=now,
    )
