"""When the next check is: spread, bounded, and slower after failures."""

from bisect import bisect_right
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.device.link.messages import UpdatePolicy
from limpet.device.updater.policy import verify_product_bounds
from limpet.device.updater.schedule import (
    LONGEST_OWNER_SECONDS,
    MAX_BACKOFF_SECONDS,
    Interval,
    choose_interval,
    decide_first_wait,
    decide_recheck,
    decide_wait,
    seeded_random,
)
from limpet.device.updater.source import parse_retry_after
from limpet.errors import Rejected
from limpet.product import load_product

PRODUCT_FILE = Path(__file__).parents[3] / "examples" / "thermostat" / "product.toml"

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # a Sunday

PRODUCT = (21600, 14400, 28800)

chances = st.floats(0, 1, exclude_max=True)


@given(chances, st.integers(1, 7 * 86400))
def test_waits_spread_over_at_least_half_of_the_interval(chance: float, owner: int) -> None:
    for planned, chosen in ((None, owner), (None, None), (owner, None), (owner, 20000)):
        interval = choose_interval(owner_seconds=chosen, planned_seconds=planned, product=PRODUCT)
        middle = (interval.shortest + interval.longest) / 2
        assert interval.longest - interval.shortest >= middle / 2 - 1e-6
        wait = decide_wait(interval, failures=0, retry_after=None, random=lambda: chance)
        assert interval.shortest <= wait <= interval.longest


@given(st.integers(1, 7 * 86400), st.none() | st.integers(1, 7 * 86400))
def test_a_plan_moves_the_interval_only_within_the_products_bounds(
    planned: int, owner: int | None
) -> None:
    """A thief of the online key: neither below the product's shortest, nor to where none checks."""
    _, shortest, longest = PRODUCT
    interval = choose_interval(owner_seconds=owner, planned_seconds=planned, product=PRODUCT)
    assert interval.shortest >= shortest
    assert interval.longest <= 1.5 * max(longest, owner or 0)


def test_a_plan_makes_an_overloaded_servers_devices_wait_longer() -> None:
    product = (21600, 14400, 86400)
    means = [
        choose_interval(owner_seconds=own, planned_seconds=plan, product=product).mean
        for own, plan in ((None, 21600), (None, 86400), (20000, None), (20000, 86400))
    ]
    assert means == [pytest.approx(x, rel=0.15) for x in (21600, 86400, 21600, 86400)]


def test_a_plan_never_makes_an_owners_device_ask_more_often() -> None:
    own = choose_interval(owner_seconds=80000, planned_seconds=None, product=PRODUCT)
    assert choose_interval(owner_seconds=80000, planned_seconds=1, product=PRODUCT) == own


def test_an_owner_cannot_turn_a_device_against_the_server() -> None:
    """The setting is refused when it is made, and held when the bounds came later."""
    update = load_product(PRODUCT_FILE).update
    for seconds in (1, update.check_interval_min_seconds - 1, LONGEST_OWNER_SECONDS + 1):
        with pytest.raises(Rejected) as refused:
            verify_product_bounds(UpdatePolicy(interval_seconds=seconds), update)
        assert refused.value.reason == "interval-out-of-bounds"
    for seconds in (update.check_interval_min_seconds, LONGEST_OWNER_SECONDS, None):
        verify_product_bounds(UpdatePolicy(interval_seconds=seconds), update)
    assert choose_interval(owner_seconds=1, planned_seconds=None, product=PRODUCT).shortest == 14400


@given(chances, st.integers(1, 7 * 86400))
def test_the_first_check_comes_within_one_mean_interval(chance: float, owner: int) -> None:
    interval = choose_interval(owner_seconds=owner, planned_seconds=None, product=PRODUCT)
    assert 0 <= decide_first_wait(interval, lambda: chance) <= interval.mean


def test_a_server_that_names_one_moment_gets_nobody_at_that_moment() -> None:
    """Retry-After as a date: each device asks another number of seconds before it."""
    interval = Interval(14400, 28800)
    arrivals = sorted(
        asked + decide_wait(interval, failures=1, retry_after=3600 - asked, random=chance)
        for asked in range(3600)
        for chance in [Random(asked).random]  # noqa: S311
    )
    assert min(arrivals) >= 3600
    busiest = max(
        bisect_right(arrivals, start + 60) - place for place, start in enumerate(arrivals)
    )
    assert busiest < 3600 * 0.04, "a minute holds 4 % at most of those that were told one hour"


def test_draws_are_a_devices_own_even_if_all_began_alike() -> None:
    first = [seeded_random(f"TH-{number}", b"same")() for number in range(1000)]
    assert len(set(first)) == 1000
    tenths = Counter(int(chance * 10) for chance in first)
    assert max(tenths.values()) < 140
    assert all(0 <= chance < 1 for chance in first)
    again = seeded_random("TH-0", b"other")
    assert again() not in first
    assert again() != again()


@given(chances, st.integers(-100, 10**6), st.integers(60, 86400))
def test_what_is_held_until_a_moment_is_looked_at_soon_after_it(
    chance: float, seconds: int, window: int
) -> None:
    """In the window, while there is time left, but not all devices at its begin."""
    at, interval = NOW + timedelta(seconds=seconds), Interval(14400, 28800)
    due = max(seconds, 0)
    for ends, spread in ((None, 2700), (at + timedelta(seconds=window), window * 0.75)):
        wait = decide_recheck(at, ends, now=NOW, interval=interval, random=lambda: chance)
        assert wait == pytest.approx(due + spread * chance)


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
