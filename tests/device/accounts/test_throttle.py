"""Guessing against the throttle: pure rules, properties, and hours of attack in simulation."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet.device.accounts.clock import MOST_CREDIT_SECONDS, GuardedClock
from limpet.device.accounts.throttle import (
    ACCOUNT_CELLS,
    CLAIM,
    PASSWORD,
    SOURCE_CELLS,
    Allowed,
    Delayed,
    Policy,
    Throttle,
    decide_attempt,
    most_guesses,
    record_success,
    without_account,
)

KEY = b"k" * 32


class Attacked:
    """A device's throttle under simulation: every checked guess is wrong unless said so."""

    def __init__(self) -> None:
        self.state = Throttle()
        self.now = 0.0
        self.checked = 0

    def guess(
        self, source: str, *, account: str = "login:owner", known: bool = False,
        policy: Policy = PASSWORD, right: bool = False,
    ) -> Allowed | Delayed:  # fmt: skip
        verdict = decide_attempt(
            self.state, account, source, known=known, now=self.now, policy=policy, key=KEY
        )
        if isinstance(verdict, Allowed):
            self.checked += 1
            self.state = verdict.state
            if right:
                self.state = record_success(
                    self.state, account, source, known=known, now=self.now, key=KEY
                )
        return verdict


def test_three_tries_are_free_then_waits_double_up_to_a_quarter_of_an_hour() -> None:
    attacked = Attacked()
    waits = []
    for _ in range(20):
        verdict = attacked.guess("client", known=True)
        if isinstance(verdict, Delayed):
            waits.append(verdict.retry_after)
            attacked.now += verdict.retry_after
            assert isinstance(attacked.guess("client", known=True), Allowed)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900, 900, 900]


@pytest.mark.parametrize("sources", [1, 7, 100_000])
@pytest.mark.parametrize("hours", [1, 24])
def test_checked_guesses_stay_within_the_bound_however_many_sources_guess(
    sources: int, hours: int
) -> None:
    attacked, random = Attacked(), Random(sources)  # noqa: S311
    end = hours * 3600.0
    while attacked.now < end:
        attacked.guess(f"10.{random.randrange(sources)}")
        attacked.now += random.expovariate(0.5)
    assert attacked.checked <= most_guesses(PASSWORD, hours)
    assert attacked.checked <= 100  # and after a hundred in a row it is over


def test_a_hundred_failures_in_a_row_shut_strangers_out_but_no_known_client() -> None:
    attacked = Attacked()
    for number in range(100_000):
        verdict = attacked.guess(f"source {number}")
        attacked.now += 360
        if isinstance(verdict, Delayed) and verdict.shut:
            break
    assert attacked.checked == 100
    attacked.now += 365 * 86400
    assert attacked.guess("another") == Delayed(900.0, shut=True)
    assert isinstance(attacked.guess("the owner's browser", known=True, right=True), Allowed)
    assert isinstance(attacked.guess("another"), Allowed)  # the owner's success opens it again


def test_the_owner_with_a_known_client_gets_in_at_any_moment_of_a_flood() -> None:
    attacked, random = Attacked(), Random(1)  # noqa: S311
    for second in range(3600):
        attacked.now = float(second)
        for _ in range(20):
            attacked.guess(f"10.{random.randrange(5000)}")
        if second % 60 == 0:
            assert isinstance(attacked.guess("cookie-1", known=True, right=True), Allowed)


def test_one_source_cannot_delay_another_before_the_bucket_is_empty() -> None:
    attacked = Attacked()
    for _ in range(50):
        attacked.guess("attacker")
    assert isinstance(attacked.guess("owner's new phone"), Allowed)


def test_a_success_of_one_stranger_gives_the_others_no_tries_back() -> None:
    attacked = Attacked()
    for number in range(10):
        attacked.guess(f"s{number}", right=number == 9)
    assert isinstance(attacked.guess("s11"), Delayed)


def test_names_that_do_not_exist_are_throttled_as_names_that_do() -> None:
    def refusals(account: str) -> list[bool]:
        attacked = Attacked()
        return [isinstance(attacked.guess("s", account=account), Delayed) for _ in range(30)]

    assert refusals("login:owner") == refusals("login:nobody")


def test_the_claim_code_is_throttled_but_never_shut() -> None:
    attacked = Attacked()
    while attacked.now < 3600:
        attacked.guess(f"10.{int(attacked.now * 10) % 4000}", account="claim", policy=CLAIM)
        attacked.now += 0.1
    assert attacked.checked <= most_guesses(CLAIM, 1)
    # Years until half of 2**80 codes were tried at that rate:
    assert 2**79 / most_guesses(CLAIM, 1) / 8766 > 1e16
    attacked.now += 3600
    assert isinstance(attacked.guess("owner", account="claim", policy=CLAIM), Allowed)


@given(
    st.lists(
        st.tuples(
            st.text(max_size=3),
            st.integers(0, 5),
            st.floats(-1e9, 1e9, allow_nan=False),
            st.booleans(),
        ),
        max_size=200,
    )
)
@settings(max_examples=60, deadline=None)
def test_the_table_stays_bounded_and_time_never_runs_back(
    events: list[tuple[str, int, float, bool]],
) -> None:
    attacked = Attacked()
    for account, source, now, known in events:
        attacked.now = now
        before = attacked.state.time
        attacked.guess(str(source), account=account, known=known)
        assert attacked.state.time >= before
    assert len(attacked.state.cells) <= SOURCE_CELLS * 2
    assert len(attacked.state.buckets) <= ACCOUNT_CELLS


@given(st.lists(st.floats(-100_000, 3600), min_size=1, max_size=200))
@settings(max_examples=60, deadline=None)
def test_a_clock_that_is_turned_back_gives_no_guess(steps: list[float]) -> None:
    attacked = Attacked()
    furthest = 0.0
    for number, step in enumerate(steps):
        attacked.now += step
        furthest = max(furthest, attacked.now)
        attacked.guess(f"s{number}")
    assert attacked.checked <= most_guesses(PASSWORD, furthest / 3600) + 1e-6


def test_a_clock_that_swings_to_and_fro_earns_no_tries() -> None:
    """A guess stamped in the past would let the same hours be counted again and again."""
    attacked = Attacked()
    for number in range(400):
        attacked.now = 8 * 3600.0 * (number % 2)
        attacked.guess(f"s{number}")
    assert attacked.checked <= most_guesses(PASSWORD, 8)


def test_a_refused_guess_changes_nothing_so_that_a_flood_writes_nothing() -> None:
    attacked = Attacked()
    for number in range(10):
        attacked.guess(f"s{number}")
    before = attacked.state
    for number in range(1000):
        assert isinstance(attacked.guess(f"t{number}"), Delayed)
    assert attacked.state is before


def test_old_failures_are_forgotten_by_age_alone() -> None:
    attacked = Attacked()
    for _ in range(3):
        attacked.guess("s", known=True)
    attacked.now += 25 * 3600
    for _ in range(3):
        assert isinstance(attacked.guess("s", known=True), Allowed)
    assert len(attacked.state.cells) == 1


def test_a_changed_password_opens_the_door_for_strangers_again() -> None:
    attacked = Attacked()
    for number in range(100):
        attacked.guess(f"s{number}")
        attacked.now += 360
    assert attacked.guess("s") == Delayed(900.0, shut=True)
    attacked.state = without_account(attacked.state, "login:owner", key=KEY)
    assert isinstance(attacked.guess("s"), Allowed)


def test_the_guarded_clock_believes_the_wall_clock_for_an_hour_at_most() -> None:
    ticks = iter([100.0, 107.0])
    clock = GuardedClock.resume(
        stored=50.0, stored_wall=1000.0, wall=9e9, monotonic=lambda: next(ticks)
    )
    assert clock() == 50.0 + MOST_CREDIT_SECONDS + 7.0
    back = GuardedClock.resume(stored=50.0, stored_wall=1000.0, wall=0.0, monotonic=lambda: 5.0)
    assert back() == 50.0
