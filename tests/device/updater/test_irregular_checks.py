"""Devices that were switched on together do not check together (R2.4.1b)."""

from itertools import pairwise
from random import Random

import pytest

from limpet.device.updater.schedule import Interval, choose_interval, decide_wait

DEVICES = 1000


def waits_of(interval: Interval, failures: int = 0) -> list[float]:
    return [
        decide_wait(interval, failures=failures, retry_after=None, random=Random(device).random)  # noqa: S311
        for device in range(DEVICES)
    ]


@pytest.mark.parametrize(
    "product", [(3600, 1800, 7200), (3600, 3600, 3600)], ids=["varied", "regular-by-design"]
)
@pytest.mark.parametrize("owner", [None, 600])
def test_no_tenth_of_the_interval_holds_a_fifth_of_the_fleet(
    product: tuple[int, int, int], owner: int | None
) -> None:
    interval = choose_interval(owner_seconds=owner, planned_seconds=None, product=product)
    waits = waits_of(interval)
    tenth = (interval.longest - interval.shortest) / 10
    assert tenth > 0
    crowded = max(sum(start <= wait < start + tenth for wait in waits) for start in waits)
    assert crowded < DEVICES / 5


def test_a_fleet_whose_server_was_down_does_not_come_back_at_once() -> None:
    waits = waits_of(Interval(1800, 7200), failures=1)
    assert max(waits) - min(waits) > 300
    crowded = max(sum(start <= wait < start + 60 for wait in waits) for start in waits)
    assert crowded < DEVICES / 4


def test_one_device_never_falls_into_a_rhythm() -> None:
    random = Random(1).random  # noqa: S311
    interval = Interval(1800, 7200)
    waits = [
        decide_wait(interval, failures=0, retry_after=None, random=random) for _ in range(DEVICES)
    ]
    alike = sum(abs(one - other) < 54 for one, other in pairwise(waits))
    assert alike < DEVICES / 20
