"""When the next check is: spread, bounded, and slower after failures."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.device.updater.schedule import (
    MAX_BACKOFF_SECONDS,
    Interval,
    choose_interval,
    decide_wait,
)
from limpet.device.updater.source import parse_retry_after

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # a Sunday

PRODUCT = (21600, 14400, 28800)

chances = st.floats(0, 1, exclude_max=True)


@given(chances, st.integers(1, 7 * 86400))
def test_waits_spread_over_at_least_half_of_the_interval(chance: float, owner: int) -> None:
    for planned, chosen in ((None, owner), (None, None), (owner, None)):
        interval = choose_interval(owner_seconds=chosen, planned_seconds=planned, product=PRODUCT)
        middle = (interval.shortest + interval.longest) / 2
        assert interval.longest - interval.shortest >= middle / 2
        wait = decide_wait(interval, failures=0, retry_after=None, random=lambda: chance)
        assert interval.shortest <= wait <= interval.longest


@pytest.mark.parametrize(("planned", "middle"), [(1, 14400), (7 * 86400, 28800), (20000, 20000)])
def test_a_plan_moves_the_interval_only_within_the_products_bounds(
    planned: int, middle: int
) -> None:
    interval = choose_interval(owner_seconds=None, planned_seconds=planned, product=PRODUCT)
    assert (interval.shortest + interval.longest) / 2 == middle


@given(chances, st.integers(1, 1000))
def test_failures_back_off_and_stay_bounded(chance: float, failures: int) -> None:
    interval = Interval(100, 300)
    wait = decide_wait(interval, failures=failures, retry_after=None, random=lambda: chance)
    assert 25 <= wait <= MAX_BACKOFF_SECONDS
    more = decide_wait(interval, failures=failures + 1, retry_after=None, random=lambda: chance)
    assert more >= wait


@given(chances, st.floats(0, 1e9), st.integers(0, 50))
def test_retry_after_is_obeyed_and_cannot_silence_a_device_for_ever(
    chance: float, asked: float, failures: int
) -> None:
    wait = decide_wait(Interval(1, 3), failures=failures, retry_after=asked, random=lambda: chance)
    assert wait >= min(asked, MAX_BACKOFF_SECONDS)
    assert wait <= MAX_BACKOFF_SECONDS * 1.25


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("9" * 30, None),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str, seconds: float | None) -> None:
    assert parse_retry_after(text, date="Sun, 22 Nov 2026 12:00:00 GMT") == seconds
