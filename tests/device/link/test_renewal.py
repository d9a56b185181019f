"""When a certificate is renewed, by clocks that are right, wrong, or set in between."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from limpet.device.link.renewal import LONGEST_SLEEP_SECONDS, decide_pause, wait_for_renewal

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
LIFE = timedelta(days=30)
WRONG = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2046, 1, 1, tzinfo=UTC))


def pause(wall: datetime, *, fresh: bool, draw: float = 0.5) -> timedelta:
    return timedelta(seconds=decide_pause(BEGIN, BEGIN + LIFE, wall=wall, fresh=fresh, draw=draw))


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
def test_a_certificate_is_renewed_around_two_thirds_of_its_life(draw: float) -> None:
    share = pause(BEGIN, fresh=False, draw=draw) / LIFE
    assert 0.61 < share < 0.72


def test_devices_made_together_do_not_renew_together() -> None:
    assert len({pause(BEGIN, fresh=False, draw=number / 100) for number in range(100)}) == 100


def test_a_certificate_past_its_time_is_renewed_at_once() -> None:
    assert pause(BEGIN + timedelta(days=25), fresh=False) == timedelta(0)
    assert pause(BEGIN + timedelta(days=400), fresh=False) == timedelta(0)


@pytest.mark.parametrize("wall", WRONG)
def test_a_stored_certificate_that_the_clock_contradicts_is_renewed_at_once(
    wall: datetime,
) -> None:
    assert pause(wall, fresh=False) == timedelta(0)


@pytest.mark.parametrize("wall", WRONG)
def test_a_fresh_certificate_is_counted_from_its_arrival_when_the_clock_is_wrong(
    wall: datetime,
) -> None:
    assert timedelta(days=19) < pause(wall, fresh=True) < timedelta(days=21)


def _waited(walls: list[datetime]) -> float:
    """Seconds slept for a fresh certificate; the wall clock shows `walls`, then its last."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    def clock() -> datetime:
        return walls.pop(0) if len(walls) > 1 else walls[0]

    asyncio.run(
        wait_for_renewal(BEGIN, BEGIN + LIFE, fresh=True, clock=clock, draw=0.5, sleep=sleep)
    )
    assert max(slept) <= LONGEST_SLEEP_SECONDS
    return sum(slept)


@pytest.mark.parametrize("wall", WRONG)
def test_with_a_wrong_clock_the_wait_ends_by_the_steady_one(wall: datetime) -> None:
    assert 19 * 86400 < _waited([wall]) < 21 * 86400


def test_a_clock_that_is_set_in_between_is_believed() -> None:
    late = BEGIN + timedelta(days=25)
    assert _waited([WRONG[0], late]) == LONGEST_SLEEP_SECONDS
