"""The rules of a rollout, one by one, and as a whole against a fleet drawn at random."""

import math
import random
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vendor.workshop import ANY_STEP, MODEL, NOW

from limpet.errors import Rejected
from limpet.vendor.rollout import (
    DEFAULT_TEST,
    Advance,
    Complete,
    Halt,
    Stay,
    Step,
    decide_step,
    decide_steps,
    ring_limit,
    weigh,
)
from limpet.vendor.store import Attempt, ErrorRates, Ring, RolloutRow, RolloutState
from limpet.wire.release import Bounds
from limpet.wire.rollout import earliest_installation, position

SILENT = 600
DIGEST = "0" * 64
EARLY = [one for one in map("TH-{}".format, range(999)) if position(DIGEST, one) < 500_000]
LATE = [one for one in map("TH-{}".format, range(999)) if position(DIGEST, one) >= 500_000]
A, B = EARLY[:2]
QUICK = ErrorRates(tolerable=0.02, intolerable=0.2, alpha=0.1, beta=0.1, distrust=0)
"""Halts on two failures in a row, passes after 12 successes."""
TRUSTING_NOBODY = ErrorRates(tolerable=0.005, intolerable=0.02, alpha=0.05, beta=0.05, distrust=3)


def make_row(**changes: Any) -> RolloutRow:
    values: dict[str, Any] = {
        "id": 1,
        "model": MODEL,
        "version": "1.1.0",
        "manifest_sha256": DIGEST,
        "state": RolloutState.RUNNING,
        "rings": (),
        "steps": (Step(500_000, 60), Step(1_000_000, 60)),
        "step": 0,
        "silent_seconds": SILENT,
        "check_interval_seconds": None,
        "started_at": NOW,
        "step_at": NOW,
        "counted_from": NOW,
        "completed_at": None,
        "reason": "",
        "revision": 1,
        "published": 1,
        "test": QUICK,
        "report_ppm": 1_000_000,
        **changes,
    }
    return RolloutRow(**values)


def attempt(serial: str, result: bool | None, at: datetime = NOW) -> Attempt:
    ended = None if result is None else at + timedelta(seconds=30)
    return Attempt(serial=serial, started_at=at, ended_at=ended, succeeded=result, reason="")


def decide(row: RolloutRow, *attempts: Attempt, after: float, bounds: Bounds = ANY_STEP) -> object:
    now = NOW + timedelta(seconds=after)
    evidence = weigh(attempts, row, now=now)
    return decide_step(row, evidence, bounds, now=now)


def reason_of(decision: object) -> str:
    assert isinstance(decision, Stay | Halt)
    return decision.reason


RING = (Step(0, 60), Step(1_000_000, 60))
ONE, TWO = (Ring("lab", ("C1",)),), (Ring("lab", ("C1", "C2")),)


def test_a_step_lasts_its_minimum_and_then_the_next_one_comes() -> None:
    assert reason_of(decide(make_row(), after=59)) == "minimum-wait"
    assert decide(make_row(), after=60) == Advance()
    assert decide(make_row(step=1), after=60) == Complete()
    assert reason_of(decide(make_row(step=1, completed_at=NOW), after=99)) == "complete"


@pytest.mark.parametrize("state", [s for s in RolloutState if s is not RolloutState.RUNNING])
def test_only_a_running_rollout_moves(state: RolloutState) -> None:
    row = make_row(state=state)
    assert reason_of(decide(row, attempt(A, False), attempt(B, False), after=999)) == state.value


def test_nothing_is_admitted_before_the_signed_start() -> None:
    bounds = Bounds(
        not_before=NOW + timedelta(hours=1), minimum_duration_seconds=0, largest_step_ppm=10**6
    )
    assert reason_of(decide(make_row(step=-1), after=3599, bounds=bounds)) == "not-before"
    assert decide(make_row(step=-1), after=3600, bounds=bounds) == Advance()


def test_a_step_waits_until_the_signed_ramp_has_let_its_last_device_in() -> None:
    bounds = Bounds(not_before=NOW, minimum_duration_seconds=1000, largest_step_ppm=10**6)
    assert reason_of(decide(make_row(), after=559, bounds=bounds)) == "minimum-wait"
    assert decide(make_row(), after=560, bounds=bounds) == Advance()


def test_an_outstanding_result_holds_the_step() -> None:
    assert reason_of(decide(make_row(), attempt(A, None), after=300)) == "results"
    assert decide(make_row(), attempt(A, True), after=300) == Advance()


def test_a_canary_ring_needs_a_success_before_anybody_else_is_admitted() -> None:
    row = make_row(rings=TWO, steps=RING)
    assert reason_of(decide(row, after=9999)) == "canaries"
    assert reason_of(decide(row, attempt("OTHER", True), after=9999)) == "canaries"
    assert decide(row, attempt("C1", True), after=60) == Advance()


def test_one_failed_canary_halts_at_once() -> None:
    row = make_row(rings=TWO, steps=RING)
    assert reason_of(decide(row, attempt("C1", False), attempt("C2", True), after=40)) == (
        "canary-failed"
    )


def test_a_silent_canary_counts_as_failed_after_its_interval() -> None:
    row = make_row(rings=ONE, steps=RING)
    assert reason_of(decide(row, attempt("C1", None), after=SILENT - 1)) == "results"
    assert reason_of(decide(row, attempt("C1", None), after=SILENT)) == "canary-failed"


def test_a_ring_that_an_operator_overruled_is_not_waited_for_again() -> None:
    row = make_row(rings=ONE, steps=RING, counted_from=NOW + timedelta(seconds=1))
    assert decide(row, after=60) == Advance()


def test_devices_that_fall_silent_halt_the_rollout_like_those_that_fall_back() -> None:
    silent = [attempt(A, None), attempt(B, None)]
    assert reason_of(decide(make_row(), *silent, after=SILENT)) == "unhealthy"
    failed = [attempt(A, False), attempt(B, False)]
    assert reason_of(decide(make_row(), *failed, after=40)) == "unhealthy"


def test_a_complete_rollout_is_still_halted() -> None:
    row = make_row(step=1, completed_at=NOW)
    assert reason_of(decide(row, attempt(A, False), attempt(B, False), after=40)) == "unhealthy"


def test_a_single_failure_holds_until_enough_succeed_after_it() -> None:
    row = make_row()
    bad = attempt(A, False)
    good = [attempt(one, True, NOW + timedelta(seconds=1)) for one in EARLY[1:13]]
    assert reason_of(decide(row, bad, *good[:3], after=60)) == "evidence"
    assert decide(row, bad, *good, after=60) == Advance()


def test_rings_go_one_by_one_each_on_a_success_of_its_own() -> None:
    rings = (Ring("lab", ("C1",)), Ring("friends", ("F1", "F2")))
    steps = (Step(0, 60), Step(0, 60), Step(1_000_000, 60))
    lab = make_row(rings=rings, steps=steps)
    friends = make_row(rings=rings, steps=steps, step=1)
    assert reason_of(decide(lab, attempt("F1", True), after=60)) == "canaries"
    assert decide(lab, attempt("C1", True), after=60) == Advance()
    assert reason_of(decide(friends, attempt("C1", True), after=60)) == "canaries"
    assert decide(friends, attempt("C1", True), attempt("F2", True), after=60) == Advance()
    assert reason_of(decide(lab, attempt("F1", False), after=60)) == "canaries", "not admitted"
    assert reason_of(decide(friends, attempt("F1", False), after=60)) == "canary-failed"


@pytest.mark.parametrize("devices", [1, 5, 10, 11, 50, 256])
def test_a_ring_halts_a_tolerable_release_no_more_often_than_alpha(devices: int) -> None:
    limit, p = ring_limit(devices, DEFAULT_TEST), DEFAULT_TEST.tolerable

    def at_least(failures: int) -> float:
        below = (math.comb(devices, k) * p**k * (1 - p) ** (devices - k) for k in range(failures))
        return 1 - sum(below)

    assert (limit == 1) == (devices <= 10)
    assert at_least(limit) <= DEFAULT_TEST.alpha < at_least(limit - 1)


def test_whoever_is_not_admitted_has_no_vote() -> None:
    bad = [attempt(one, False) for one in LATE[:50]]
    assert decide(make_row(), *bad, after=60) == Advance()
    waiting = [attempt(one, None) for one in LATE[:50]]
    assert decide(make_row(), *waiting, after=60) == Advance()
    admitted = make_row(step=1)
    assert reason_of(decide(admitted, *bad, after=60)) == "unhealthy"


def test_a_device_that_fails_whatever_it_is_given_weighs_less_each_time() -> None:
    def evidence(elsewhere: int) -> float:
        weighed = weigh(
            [attempt(A, False)],
            make_row(),
            now=NOW + timedelta(seconds=60),
            failures_elsewhere={A: elsewhere},
        )
        return weighed.verdict.evidence

    assert evidence(0) == pytest.approx(math.log(10))
    assert evidence(1) == pytest.approx(math.log(10) / 2)
    assert evidence(9) == pytest.approx(math.log(10) / 10)


def test_a_few_hostile_devices_neither_halt_nor_hold_a_good_release() -> None:
    row = make_row(test=TRUSTING_NOBODY)
    good = [attempt(one, True, NOW + timedelta(seconds=n)) for n, one in enumerate(EARLY[3:23])]
    hostile = [attempt(one, False, NOW + timedelta(seconds=50)) for one in EARLY[:3]]
    assert decide(row, *good, *hostile, after=300) == Advance()
    trusting = make_row(test=msgspec.structs.replace(TRUSTING_NOBODY, distrust=0))
    assert reason_of(decide(trusting, *good, *hostile, after=300)) == "unhealthy"
    halted = [attempt(one, False, NOW + timedelta(seconds=50)) for one in EARLY[:6]]
    assert reason_of(decide(row, *halted, after=300)) == "unhealthy"


def test_hostile_successes_do_not_talk_a_bad_release_through() -> None:
    row = make_row(test=TRUSTING_NOBODY)
    honest = [attempt(one, False, NOW + timedelta(seconds=n)) for n, one in enumerate(EARLY[:8])]
    liars = [attempt(one, True, NOW + timedelta(seconds=4)) for one in EARLY[8:28]]
    assert reason_of(decide(row, *honest, *liars, after=300)) == "unhealthy"


def test_two_failures_of_two_devices_hold_in_spite_of_distrust() -> None:
    row = make_row(test=TRUSTING_NOBODY)
    both = [attempt(A, False), attempt(B, False)]
    assert reason_of(decide(row, *both, after=60)) == "evidence"
    many = [attempt(one, True) for one in EARLY[2:12]]
    assert decide(row, *both, *many, after=60) == Advance()


@pytest.mark.parametrize(
    ("shares", "largest", "reason"),
    [
        ([], 10**6, "bad-steps"),
        ([500_000], 10**6, "bad-steps"),
        ([500_000, 500_000, 10**6], 10**6, "bad-steps"),
        ([600_000, 500_000, 10**6], 10**6, "bad-steps"),
        ([0, 10**6], 10**6, "bad-steps"),
        ([10**6 + 1], 10**6, "bad-steps"),
        (list(range(1, 70)), 10**6, "bad-steps"),
        ([10**6], 999_999, "out-of-bounds"),
        ([100_000, 400_000, 10**6], 300_000, "out-of-bounds"),
    ],
)
def test_steps_that_do_not_rise_or_leap_are_refused(
    shares: list[int], largest: int, reason: str
) -> None:
    bounds = Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=largest)
    with pytest.raises(Rejected) as caught:
        decide_steps(shares, wait_seconds=1, bounds=bounds)
    assert caught.value.reason == reason


@settings(max_examples=60, deadline=None)
@given(
    shares=st.lists(st.integers(1, 999_999), unique=True, max_size=6),
    largest=st.integers(100_000, 1_000_000),
    delay=st.integers(0, 500),
    duration=st.integers(0, 2000),
    wait=st.integers(0, 120),
    rate=st.sampled_from([0.0, 0.02, 0.3, 1.0]),
    seed=st.integers(0, 9999),
)
def test_no_rollout_ever_exceeds_the_bounds_that_its_release_was_signed_with(
    shares: list[int], largest: int, delay: int, duration: int, wait: int, rate: float, seed: int
) -> None:
    bounds = Bounds(
        not_before=NOW + timedelta(seconds=delay),
        minimum_duration_seconds=duration,
        largest_step_ppm=largest,
    )
    try:
        steps = decide_steps([*sorted(shares), 10**6], wait_seconds=wait, bounds=bounds)
    except Rejected:
        return
    rng = random.Random(seed)  # noqa: S311
    row, attempts = make_row(steps=steps, step=-1), list[Attempt]()
    for second in range(0, 6000, 10):
        now = NOW + timedelta(seconds=second)
        evidence = weigh(attempts, row, now=now)
        match decide_step(row, evidence, bounds, now=now):
            case Advance():
                before = row.admitted_ppm
                row = make_row(steps=steps, step=row.step + 1, step_at=now)
                assert now >= bounds.not_before
                assert row.admitted_ppm - before <= largest
                assert row.admitted_ppm - row.previous_ppm <= largest
                assert now >= earliest_installation(bounds, before)
                name = f"D{len(attempts)}"
                attempts.append(attempt(name, rng.random() >= rate, now - timedelta(seconds=30)))
            case Complete():
                end = bounds.not_before + timedelta(seconds=duration)
                assert now >= end
                return
            case Halt():
                assert rate > 0
                return
            case Stay():
                pass
