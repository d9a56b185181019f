"""Loops and health: a loop that dies comes back, and nothing broken ever counts as healthy."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.device.app._health import (
    BACKOFF_MAX_SECONDS,
    LoopStatus,
    after_failure,
    after_success,
    decide_health,
)
from limpet.device.app.testing import Simulator

Lamp = Simulator[Any]


def test_a_loop_takes_its_turns_at_its_times(lamp: Lamp) -> None:
    lamp.advance(10)
    assert lamp.product.turns == 11  # one at once
    assert lamp.health() == (True, "")


def test_before_its_first_turn_a_loop_is_not_healthy(lamp: Lamp) -> None:
    assert lamp.health() == (False, "loop glow has not run yet")


def test_a_loop_that_fails_is_unhealthy_runs_ever_later_and_recovers(lamp: Lamp) -> None:
    lamp.advance(1)
    lamp.product.broken = RuntimeError("no light")
    before = lamp.product.turns
    lamp.advance(300)
    assert 6 <= lamp.product.turns - before <= 14
    assert lamp.health() == (False, "loop glow fails: RuntimeError: no light")
    lamp.product.broken = None
    lamp.advance(BACKOFF_MAX_SECONDS)
    assert lamp.health() == (True, "")
    events = [event for event, _, _ in lamp.log]
    assert events == ["app-loop-failed", "app-loop-recovered"]  # once, not each turn


def test_a_health_check_that_breaks_is_a_fault_and_not_a_pass(lamp: Lamp) -> None:
    lamp.advance(1)
    lamp.product.fault = "bug"
    healthy, reason = lamp.health()
    assert not healthy
    assert "health check shines broke: KeyError" in reason


def test_all_faults_are_told(lamp: Lamp) -> None:
    lamp.product.fault = "bulb gone"
    assert lamp.health() == (False, "bulb gone; loop glow has not run yet")


@pytest.mark.parametrize(("age", "healthy"), [(8.0, True), (8.1, False)])
def test_an_overdue_loop_is_unhealthy(age: float, healthy: bool) -> None:
    loop = LoopStatus(name="glow", every=1.0, due=1.0, finished=100.0)
    assert decide_health([loop], [], 100.0 + age)[0] is healthy


@given(st.integers(0, 2000), st.floats(0.001, 1000))
def test_the_wait_after_a_failure_is_bounded_however_many_there_were(
    failures: int, every: float
) -> None:
    status = LoopStatus(name="glow", every=every, due=0.0, failures=failures)
    after = after_failure(status, 1000.0, "error")
    assert 0.5 <= after.due - 1000.0 <= max(BACKOFF_MAX_SECONDS, every) + 1e-6
    assert after_success(after, 2000.0).failures == 0


def test_turns_that_were_missed_are_not_made_up(lamp: Lamp) -> None:
    lamp.advance(1)
    before = lamp.product.turns
    lamp.clock.advance(1000)  # as if the machine had slept
    lamp.instance.run_due()
    lamp.instance.run_due()
    assert lamp.product.turns - before <= 2


def test_stop_hooks_run_once_and_one_that_fails_keeps_no_other_from_running(lamp: Lamp) -> None:
    def broken(product: object) -> None:
        raise OSError("stuck")

    lamp.app.stop_hooks.insert(0, broken)
    lamp.instance.stop()
    assert lamp.product.lit is False
    assert lamp.log[0][0] == "app-stop-failed"
    lamp.product.lit = True
    lamp.instance.stop()
    assert lamp.product.lit is True
