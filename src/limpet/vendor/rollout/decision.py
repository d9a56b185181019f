"""What a rollout does next: pure rules over its row, the evidence and the time.

Owns the order of the rules. Reads no clock, no table and no file; the release's
bounds were signed offline, and no decision here goes beyond them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from limpet.errors import Rejected
from limpet.vendor.store import Attempt, RolloutRow, RolloutState, Step
from limpet.wire.release import Bounds
from limpet.wire.rollout import MAX_CANARIES, WHOLE_PPM, earliest_installation

from .health import DEFAULT_TEST, Health, HealthTest, Verdict, run_test

__all__ = [
    "Advance",
    "Complete",
    "Decision",
    "Evidence",
    "Halt",
    "Stay",
    "Step",
    "decide_step",
    "decide_steps",
    "weigh",
]

MAX_STEPS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the fleet has shown of the release; a device counts once."""

    succeeded: int
    failed: int  # reported failures
    silent: int  # no result within the interval: a bricked device never reports
    pending: int  # attempts that still have time
    canaries_succeeded: int
    canaries_failed: int  # silent ones included
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Stay:
    """Nothing changes; `reason` is what the rollout waits for."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Advance:
    """Go to the next step."""


@dataclass(frozen=True, slots=True)
class Complete:
    """The whole fleet was admitted for long enough."""


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop admitting, at once."""

    reason: str
    detail: str


Decision = Stay | Advance | Complete | Halt


def weigh(
    attempts: Iterable[Attempt],
    *,
    canaries: Sequence[str],
    silent_seconds: int,
    now: datetime,
    test: HealthTest = DEFAULT_TEST,
) -> Evidence:
    """Count each device's latest attempt, and run the health test over them as they ended."""
    patience, ring = timedelta(seconds=silent_seconds), frozenset(canaries)
    ended: list[tuple[datetime, bool]] = []
    succeeded = failed = silent = pending = good_canaries = bad_canaries = 0
    for attempt in attempts:
        outcome = attempt.succeeded
        at = attempt.ended_at
        if outcome is None or at is None:
            at = attempt.started_at + patience
            if at > now:
                pending += 1
                continue
            outcome, silent = False, silent + 1
        elif outcome:
            succeeded += 1
        else:
            failed += 1
        ended.append((at, outcome))
        good_canaries += outcome and attempt.serial in ring
        bad_canaries += not outcome and attempt.serial in ring
    ended.sort(key=lambda item: item[0])
    return Evidence(
        succeeded=succeeded,
        failed=failed,
        silent=silent,
        pending=pending,
        canaries_succeeded=good_canaries,
        canaries_failed=bad_canaries,
        verdict=run_test((outcome for _, outcome in ended), test),
    )


def decide_step(row: RolloutRow, evidence: Evidence, bounds: Bounds, *, now: datetime) -> Decision:
    """The next thing to do. Numbered as they run:

    1. only a running rollout moves; 2. one failed canary halts (named devices are few, so no
    statistics); 3. the health test halts; 4. nothing is admitted before the release's signed
    start; 5. nobody's result is outstanding; 6. a canary ring has shown a success, unless an
    operator overruled it; 7. the evidence does not lean against the release; 8. the step has
    lasted its time, counted from when the signed ramp let its last device in; 9. the last step
    completes, others advance.
    """
    # 1.
    if row.state is not RolloutState.RUNNING:
        return Stay(row.state.value, row.reason)
    # 2. and 3.
    if (halt := _decide_halt(row, evidence)) is not None:
        return halt
    # 4.
    if row.step < 0:
        if now < bounds.not_before:
            return Stay(
                "not-before", f"the release may start at {bounds.not_before:%Y-%m-%d %H:%M} UTC"
            )
        return Advance()
    if row.completed_at is not None:
        return Stay("complete", "every device is admitted")
    # 5. to 7.
    if (wait := _decide_wait(row, evidence)) is not None:
        return wait
    # 8.
    ready = _ready_at(row, bounds)
    if now < ready:
        left = (ready - now).total_seconds()
        return Stay("minimum-wait", f"{left:.0f} s of this step are left")
    # 9.
    return Complete() if row.step == len(row.steps) - 1 else Advance()


def _decide_halt(row: RolloutRow, evidence: Evidence) -> Halt | None:
    if evidence.canaries_failed:
        return Halt("canary-failed", f"{evidence.canaries_failed} of {len(row.canaries)} canaries")
    if evidence.verdict.health is Health.UNHEALTHY:
        bad = evidence.failed + evidence.silent
        return Halt("unhealthy", f"{bad} of {bad + evidence.succeeded} attempts failed")
    return None


def _decide_wait(row: RolloutRow, evidence: Evidence) -> Stay | None:
    if evidence.pending:
        return Stay("results", f"{evidence.pending} attempts have no result yet")
    overruled = row.counted_from > row.started_at  # an operator has looked, and resumed
    if row.admitted_ppm == 0 and not evidence.canaries_succeeded and not overruled:
        return Stay("canaries", "no canary has confirmed the release yet")
    if evidence.verdict.evidence > 0:
        bad = evidence.failed + evidence.silent
        return Stay("evidence", f"{bad} attempts failed: too few succeeded since to go on")
    return None


def _ready_at(row: RolloutRow, bounds: Bounds) -> datetime:
    covered = earliest_installation(bounds, row.admitted_ppm)
    return max(row.step_at, covered) + timedelta(seconds=row.steps[row.step].wait_seconds)


def decide_steps(
    shares_ppm: Sequence[int], *, wait_seconds: int, canaries: Sequence[str], bounds: Bounds
) -> tuple[Step, ...]:
    """The steps of a rollout: the canary ring first if there is one, then the shares.

    Raises `Rejected("bad-steps")` for shares that do not rise to the whole fleet, and
    `Rejected("out-of-bounds")` where a step is larger than the release allows.
    """
    if not shares_ppm or len(shares_ppm) > MAX_STEPS or shares_ppm[-1] != WHOLE_PPM:
        raise Rejected("bad-steps", f"give 1 to {MAX_STEPS} steps, the last of them 100 %")
    if len(canaries) > MAX_CANARIES:
        raise Rejected("bad-steps", f"at most {MAX_CANARIES} canaries can be named")
    before = 0
    for share in shares_ppm:
        if share <= before:
            raise Rejected("bad-steps", "each step admits more of the fleet than the one before")
        if share - before > bounds.largest_step_ppm:
            raise Rejected(
                "out-of-bounds",
                f"the step from {before / 10_000:g} % to {share / 10_000:g} % is larger than the "
                f"{bounds.largest_step_ppm / 10_000:g} % that the release was signed with",
                hint="use more and smaller steps",
            )
        before = share
    ring = (Step(0, wait_seconds),) if canaries else ()
    return ring + tuple(Step(share, wait_seconds) for share in shares_ppm)
