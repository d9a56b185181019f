"""R2.4.1b: nobody who has the updater woken often keeps it from checking."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path

from limpet.device.updater.timetable import Timetable
from limpet.product import load_product

PRODUCT_FILE = Path(__file__).parents[3] / "examples" / "thermostat" / "product.toml"
DUE = 0.4  # seconds, drawn each time


def test_a_choice_that_wakes_a_resting_updater_counts_for_the_next_check() -> None:
    """The owner shortens the interval: the process that this starts draws by it."""
    update = load_product(PRODUCT_FILE).update
    for chosen, waits in ((False, 100.0), (True, 3.0)):
        timetable = Timetable(update, monotonic=lambda: 1000.0, random=lambda: 0.5)
        timetable.recall(1100.0, 0, left=200.0)
        if chosen:
            timetable.wake()

        async def begin(timetable: Timetable = timetable) -> None:
            waiting = timetable.wait_until_due(
                lambda: 3.0, now=lambda: datetime.now(UTC), is_hurried=lambda: False
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(waiting, 0.05)

        asyncio.run(begin())
        assert timetable.left == waits


def test_a_policy_that_is_changed_again_and_again_does_not_put_the_check_off() -> None:
    update = load_product(PRODUCT_FILE).update
    timetable = Timetable(update, monotonic=time.monotonic, random=lambda: 0.5)
    wakes = 0

    async def change_often() -> None:
        nonlocal wakes
        while True:
            await asyncio.sleep(DUE / 8)
            timetable.wake()
            wakes += 1

    async def wait() -> float:
        changing = asyncio.ensure_future(change_often())
        begun = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(
                timetable.wait_until_due(
                    lambda: DUE, now=lambda: datetime.now(UTC), is_hurried=lambda: False
                ),
                20 * DUE,
            )
        changing.cancel()
        return time.monotonic() - begun

    waited = asyncio.run(wait())
    assert wakes >= 2
    assert DUE * 0.9 <= waited < 10 * DUE, "the check was put off"
    assert timetable.left == float("inf")  # and nothing is left of it for the next
