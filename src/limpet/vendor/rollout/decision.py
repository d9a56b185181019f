"""What a rollout does next: pure rules over its row, the evidence and the time.

Owns the order of the rules. Reads no clock, no table and no file; the release's
bounds were signed offline, and no decision here goes beyond them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from limpet.errors import Rejected
from limpet.vendor.store import Ring, RolloutRow, RolloutState, Step
from limpet.wire.release import Bounds
from limpet.wire.rollout import MAX_NAMED, WHOLE_PPM, earliest_installation

from .evidence import Evidence
from .health import Health, HealthTest

__all__ = [
    "Advance",
    "Complete",
    "Decision",
    "Halt",
    "Stay",
    "Step",
    "choose_report_rate",
    "decide_step",
    "decide_steps",
    "fastest_shares",
    "ring_limit",
]

MAX_STEPS = 64
MAX_RINGS = 16


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


def decide_step(row: RolloutRow, evidence: Evidence, bounds: Bounds, *, now: datetime) -> Decision:
    """The next thing to do. Numbered as they run:

    1. only a running rollout moves; 2. a ring that fails more often than a tolerable release
    would halts (see `ring_limit`); 3. the health test halts; 4. nothing is admitted before the
    release's signed start; 5. nobody's result is outstanding; 6. the ring of this step has shown a
    success, unless an operator overruled it; 7. the evidence does not lean against the release;
    8. the step has lasted its time, counted from when the signed ramp let its last device in;
    9. the last step completes, others advance.
    """
    # 1.
    if row.state is not RolloutState.RUNNING:
        return Stay(row.state.value, row.reason)
    # 2. and 3.
    if (halt := _decide_halt(evidence)) is not None:
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


def _decide_halt(evidence: Evidence) -> Halt | None:
    verdict = evidence.verdict
    for ring in evidence.rings:
        if ring.failed >= ring_limit(ring.devices, verdict.test):
            return Halt("canary-failed", f"{ring.failed} of {ring.devices} in ring {ring.name}")
    if verdict.health is Health.UNHEALTHY:
        bad = evidence.failed + evidence.silent
        return Halt("unhealthy", f"{bad} of {bad + evidence.succeeded} attempts failed")
    return None


def ring_limit(devices: int, test: HealthTest) -> int:
    """How many failures of a ring of `devices` halt: the fewest that a tolerable release reaches
    with a probability of at most alpha (the binomial's tail). One failure, up to ten devices.

    The vendor chose these devices, so none is distrusted; failures only add up, so looking often
    changes nothing.
    """
    reached, limit = 1.0, 0
    while reached > test.alpha:
        chance = math.comb(devices, limit) * test.tolerable**limit
        reached -= chance * (1 - test.tolerable) ** (devices - limit)
        limit += 1
    return limit


def _decide_wait(row: RolloutRow, evidence: Evidence) -> Stay | None:
    if evidence.pending:
        return Stay("results", f"{evidence.pending} attempts have no result yet")
    overruled = row.counted_from > row.started_at  # an operator has looked, and resumed
    if row.step < len(row.rings) and not evidence.rings[-1].succeeded and not overruled:
        return Stay("canaries", f"nobody in ring {evidence.rings[-1].name} has confirmed it yet")
    if evidence.verdict.leans:
        bad = evidence.failed + evidence.silent
        return Stay("evidence", f"{bad} attempts failed: too few succeeded since to go on")
    return None


def _ready_at(row: RolloutRow, bounds: Bounds) -> datetime:
    covered = earliest_installation(bounds, row.admitted_ppm)
    return max(row.step_at, covered) + timedelta(seconds=row.steps[row.step].wait_seconds)


def fastest_shares(bounds: Bounds) -> tuple[int, ...]:
    """The fewest shares that the signed bound on one step allows.

    Raises `Rejected("out-of-bounds")` where even these would be too many steps.
    """
    largest = bounds.largest_step_ppm
    if largest * MAX_STEPS < WHOLE_PPM:
        raise Rejected(
            "out-of-bounds",
            f"steps of {largest / 10_000:g} % never reach the fleet in {MAX_STEPS}",
            hint="build the release with a larger step",
        )
    return (*range(largest, WHOLE_PPM, largest), WHOLE_PPM)


def decide_steps(
    shares_ppm: Sequence[int], *, wait_seconds: int, bounds: Bounds, rings: Sequence[Ring] = ()
) -> tuple[Step, ...]:
    """The steps of a rollout: the rings one by one if there are any, then the shares.

    Raises `Rejected("bad-steps")` for shares that do not rise to the whole fleet, and
    `Rejected("out-of-bounds")` where a step is larger than the release allows.
    """
    if not shares_ppm or len(shares_ppm) > MAX_STEPS or shares_ppm[-1] != WHOLE_PPM:
        raise Rejected("bad-steps", f"give 1 to {MAX_STEPS} steps, the last of them 100 %")
    if sum(len(ring.serials) for ring in rings) > MAX_NAMED or len(rings) > MAX_RINGS:
        raise Rejected(
            "bad-steps", f"a rollout names at most {MAX_NAMED} devices in {MAX_RINGS} rings"
        )
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
    first = tuple(Step(0, wait_seconds) for _ in rings)
    return first + tuple(Step(share, wait_seconds) for share in shares_ppm)


def choose_report_rate(wanted_ppm: int | None, bounds: Bounds) -> int:
    """The share of the fleet that reports: what is wanted, or the least that was signed.

    Raises `Rejected("out-of-bounds")`: a device would report all the same.
    """
    least = bounds.report_ppm
    if wanted_ppm is None:
        return least
    if not least <= wanted_ppm <= WHOLE_PPM:
        raise Rejected(
            "out-of-bounds",
            f"{wanted_ppm / 10_000:g} % of the fleet cannot be chosen to report: the release was "
            f"signed with at least {least / 10_000:g} %",
            hint=f"say --report {least / 10_000:g}%, or more",
        )
    return wanted_ppm
