"""What people do to a rollout: start, pause, resume, withdraw.

Owns the checks of a command. Every change is one transaction under the lock,
and is followed by the publication of its plan (see `limpet.vendor.rollout.engine`).
"""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from limpet.errors import Rejected
from limpet.vendor.store import ErrorRates, RolloutRow, Rollouts, RolloutState

from .ahead import verify_rings_start
from .decision import choose_report_rate, decide_steps, fastest_shares
from .engine import Rollout, changing, locked, publish_plan, tick
from .health import DEFAULT_TEST, HealthTest
from .rings import choose_rings
from .status import RolloutStatus, status

__all__ = ["DEFAULT_SILENT_SECONDS", "pause", "resume", "start", "withdraw"]

DEFAULT_SILENT_SECONDS = 3600


def start(
    rollout: Rollout,
    version: str,
    *,
    shares_ppm: Sequence[int] | None,
    wait_seconds: int,
    canaries: Sequence[str] = (),
    rings: Sequence[str] = (),
    test: HealthTest = DEFAULT_TEST,
    silent_seconds: int = DEFAULT_SILENT_SECONDS,
    check_interval_seconds: int | None = None,
    report_ppm: int | None = None,
) -> RolloutStatus:
    """Begin to roll out a published release, and admit its first step if it may start now.

    Without `shares_ppm`: as fast as the release's signed bounds allow (an emergency). `canaries` go
    first, then the named `rings` in the order given; who is in them is fixed now. `report_ppm` of
    the fleet report, by default as few as the release was signed with. Raises `Rejected`:
    unknown-release, withdrawn, already-running, bad-steps, unknown-ring, unknown-device (a canary
    that never called, or a ring of which nobody did), out-of-bounds: also where nobody in a ring
    may install the release within `silent_seconds`, by what the offline keys signed.
    """
    release = rollout.repository.find_release(version)
    bounds = release.manifest.bounds
    with changing(rollout) as connection:
        rollouts, now = Rollouts(connection), rollout.clock()
        if release.manifest_sha256 in rollouts.withdrawn(rollout.model):
            raise Rejected("withdrawn", f"{version} was withdrawn", hint="publish a new version")
        chosen = choose_rings(connection, rollout.model, canaries, rings)
        verify_rings_start(chosen, release, now=now, patience=timedelta(seconds=silent_seconds))
        shares = shares_ppm if shares_ppm is not None else fastest_shares(bounds)
        steps = decide_steps(shares, wait_seconds=wait_seconds, rings=chosen, bounds=bounds)
        _replace(rollouts, rollouts.latest(rollout.model), now)
        row = rollouts.add(
            model=rollout.model,
            version=version,
            manifest_sha256=release.manifest_sha256,
            rings=chosen,
            steps=steps,
            silent_seconds=silent_seconds,
            check_interval_seconds=check_interval_seconds,
            report_ppm=choose_report_rate(report_ppm, bounds),
            test=ErrorRates(**dataclasses.asdict(test)),
            **_begun(now),
        )
        how = ", an emergency" if shares_ppm is None else ""
        rollouts.log(row, "started", now=now, detail=f"{len(steps)} steps{how}")
    tick(rollout)
    return status(rollout)


def _begun(now: datetime) -> dict[str, Any]:
    """The fields of a row that every rollout begins with."""
    return {
        "state": RolloutState.RUNNING,
        "step": -1,
        "started_at": now,
        "step_at": now,
        "counted_from": now,
        "completed_at": None,
        "reason": "",
        "revision": 1,
        "published": 0,
    }


def _replace(rollouts: Rollouts, row: RolloutRow | None, now: datetime) -> None:
    if row is None:
        return
    if row.state is RolloutState.RUNNING and row.completed_at is None:
        raise Rejected(
            "already-running",
            f"the rollout of {row.version} is running",
            hint="pause or withdraw it first",
        )
    replaced = rollouts.change(row, state=RolloutState.REPLACED)
    rollouts.log(replaced, "replaced", now=now)


def pause(rollout: Rollout, *, reason: str = "") -> RolloutStatus:
    """Admit nobody until `resume`. Raises `Rejected("not-running")`."""

    def change(rollouts: Rollouts, row: RolloutRow, now: datetime) -> RolloutRow:
        if row.state is not RolloutState.RUNNING:
            raise Rejected("not-running", f"the rollout of {row.version} is {row.state.value}")
        return rollouts.change(row, state=RolloutState.PAUSED, reason=reason)

    return _act(rollout, "paused", change, reason)


def resume(rollout: Rollout, *, reason: str = "") -> RolloutStatus:
    """Go on after a pause or a halt, or in spite of failures that hold a running rollout.

    Whoever resumes has looked at what failed: attempts that began earlier are no evidence any
    more. Raises `Rejected("withdrawn" | "not-running")`.
    """

    def change(rollouts: Rollouts, row: RolloutRow, now: datetime) -> RolloutRow:
        if row.state is RolloutState.WITHDRAWN:
            raise Rejected(
                "withdrawn", f"{row.version} was withdrawn", hint="publish a new version"
            )
        fresh: dict[str, Any] = {"state": RolloutState.RUNNING, "reason": "", "step_at": now}
        if row.state is not RolloutState.PAUSED:
            fresh["counted_from"] = now
        return rollouts.change(row, **fresh)

    return _act(rollout, "resumed", change, reason)


def withdraw(rollout: Rollout, version: str, *, reason: str = "") -> RolloutStatus:
    """Refuse a release from now on, whether its rollout runs or is long over; it is remembered.

    For good, against a stolen online key too, raise the security counter in a new release.
    """
    release = rollout.repository.find_release(version)
    with changing(rollout) as connection:
        rollouts, now = Rollouts(connection), rollout.clock()
        digest = release.manifest_sha256
        rollouts.withdraw(digest, model=rollout.model, version=version, now=now, reason=reason)
        row = rollouts.latest(rollout.model)
        if row is not None:
            own = row.manifest_sha256 == digest
            end: dict[str, Any] = {"state": RolloutState.WITHDRAWN, "reason": reason}
            row = rollouts.change(row, **(end if own else {}))
            rollouts.log(row, "withdrawn", now=now, detail=f"{version} {reason}".strip())
    with locked(rollout):
        publish_plan(rollout)
    return status(rollout)


Change = Callable[[Rollouts, RolloutRow, datetime], RolloutRow]


def _act(rollout: Rollout, event: str, change: Change, reason: str) -> RolloutStatus:
    with changing(rollout) as connection:
        rollouts, now = Rollouts(connection), rollout.clock()
        row = rollouts.latest(rollout.model)
        if row is None:
            raise Rejected("not-running", f"no release of {rollout.model} was rolled out yet")
        rollouts.log(change(rollouts, row, now), event, now=now, detail=reason)
    with locked(rollout):
        publish_plan(rollout)
    return status(rollout)
