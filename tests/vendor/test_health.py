"""Wald's test: its error rates hold in simulation, and it stops early on a bad release."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.errors import Misuse
from limpet.vendor.rollout import DEFAULT_TEST, HealthTest, run_test
from limpet.vendor.rollout.health import Health

RUNS = 4000


def first_verdict(rate: float, test: HealthTest, rng: random.Random) -> tuple[bool, int]:
    """Run one test to its end over a release that fails at `rate`: halted?, after how many."""
    outcomes: list[bool] = []
    while True:
        outcomes.append(rng.random() >= rate)
        verdict = run_test(outcomes, test)
        if verdict.health is Health.UNHEALTHY:
            return True, len(outcomes)
        if verdict.passed:
            return False, len(outcomes)


@pytest.mark.parametrize(
    "test",
    [DEFAULT_TEST, HealthTest(tolerable=0.05, intolerable=0.3, alpha=0.05, beta=0.05)],
    ids=["default", "other"],
)
def test_a_good_release_is_halted_no_more_often_than_alpha_promises(test: HealthTest) -> None:
    rng = random.Random(20261122)  # noqa: S311
    halted = sum(first_verdict(test.tolerable, test, rng)[0] for _ in range(RUNS))
    promised = test.alpha / (1 - test.beta)
    assert halted / RUNS <= promised + 3 * math.sqrt(promised / RUNS)


@pytest.mark.parametrize(
    "test",
    [DEFAULT_TEST, HealthTest(tolerable=0.05, intolerable=0.3, alpha=0.05, beta=0.05)],
    ids=["default", "other"],
)
def test_a_bad_release_passes_no_more_often_than_beta_promises(test: HealthTest) -> None:
    rng = random.Random(20261123)  # noqa: S311
    passed = sum(not first_verdict(test.intolerable, test, rng)[0] for _ in range(RUNS))
    promised = test.beta / (1 - test.alpha)
    assert passed / RUNS <= promised + 3 * math.sqrt(promised / RUNS)


def test_a_release_that_always_fails_is_halted_by_two_devices() -> None:
    assert run_test([False]).health is Health.UNDECIDED
    assert run_test([False, False]).health is Health.UNHEALTHY


def test_a_bad_release_reaches_few_devices_before_it_is_halted() -> None:
    rng = random.Random(7)  # noqa: S311
    needed = []
    for _ in range(500):
        halted, count = first_verdict(0.5, DEFAULT_TEST, rng)
        if halted:
            needed.append(count)
    assert len(needed) > 490
    assert sum(needed) / len(needed) < 8


def test_a_long_healthy_history_does_not_outvote_devices_that_fail_later() -> None:
    assert run_test([True] * 10_000 + [False] * 3).health is Health.UNHEALTHY


@given(st.lists(st.booleans(), max_size=200))
def test_a_halt_is_never_undone_by_later_luck(outcomes: list[bool]) -> None:
    if run_test(outcomes).health is Health.UNHEALTHY:
        assert run_test(outcomes + [True] * 500).health is Health.UNHEALTHY


@given(st.lists(st.booleans(), max_size=200))
def test_evidence_stays_between_its_bounds_until_the_halt(outcomes: list[bool]) -> None:
    verdict = run_test(outcomes)
    assert verdict.evidence > DEFAULT_TEST.pass_at
    assert (verdict.evidence >= DEFAULT_TEST.halt_at) == (verdict.health is Health.UNHEALTHY)


@pytest.mark.parametrize(
    "values",
    [
        (0.0, 0.2, 0.01, 0.1),
        (0.2, 0.2, 0.01, 0.1),
        (0.3, 0.2, 0.01, 0.1),
        (0.1, 1.0, 0.01, 0.1),
        (0.1, 0.2, 0.0, 0.1),
        (0.1, 0.2, 0.01, 0.5),
    ],
)
def test_parameters_that_make_no_test_are_refused(values: tuple[float, ...]) -> None:
    tolerable, intolerable, alpha, beta = values
    with pytest.raises(Misuse):
        HealthTest(tolerable=tolerable, intolerable=intolerable, alpha=alpha, beta=beta)
