"""The updater's timetable: when the next check is due, and the wait for it.

Owns the failures in a row and the moment that is due; the figures come from
`limpet.device.updater.schedule`. Never checks by itself.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta

from limpet.device.link import messages as m
from limpet.device.updater.check import CheckResult
from limpet.device.updater.schedule import (
    Random,
    choose_interval,
    decide_first_wait,
    decide_recheck,
    decide_wait,
)
from limpet.product import Update

__all__ = ["Timetable"]

_NEVER = float("inf")


class Timetable:
    """When one device checks. All seconds are of the monotonic clock."""

    def __init__(self, update: Update, *, monotonic: Callable[[], float], random: Random) -> None:
        self._update, self._monotonic, self._random = update, monotonic, random
        self._wake = asyncio.Event()
        self.check_at = _NEVER
        self.next_check: datetime | None = None  # UTC, for the owner
        self.failures = 0  # in a row
        self._recalled = False

    @property
    def left(self) -> float:
        """Seconds until the next check; infinite while none is waited for."""
        return self.check_at - self._monotonic()

    def recall(self, check_at: float, failures: int, *, left: float) -> None:
        """Go on where the process before a rest stopped, `left` seconds before its next check.

        With that check and no other, unless the clock began anew meanwhile.
        """
        self.check_at, self.failures = check_at, failures
        self._recalled = self.left <= left

    def count(self, *, failed: bool) -> None:
        """A check ended."""
        self.failures = self.failures + 1 if failed else 0

    def wake(self) -> None:
        """Something changed: check at once, or draw another wait."""
        self._recalled = False
        self._wake.set()

    def draw(self, policy: m.UpdatePolicy, result: CheckResult | None, *, now: datetime) -> float:
        """Seconds to wait after `result` under the owner's `policy`."""
        update, random = self._update, self._random
        interval = choose_interval(
            owner_seconds=policy.interval_seconds,
            planned_seconds=result.planned_interval if result else None,
            product=(
                update.check_interval_seconds,
                update.check_interval_min_seconds,
                update.check_interval_max_seconds,
            ),
        )
        if result is None and not self.failures:
            return decide_first_wait(interval, random)
        after = result.retry_after if result else None
        wait = decide_wait(interval, failures=self.failures, retry_after=after, random=random)
        hold = result.hold if result else None
        if hold is not None and hold.until is not None and not self.failures:
            at, ends = hold.until, hold.ends
            recheck = decide_recheck(at, ends, now=now, interval=interval, random=random)
            wait = min(wait, recheck)
        return wait

    async def wait_until_due(
        self,
        draw: Callable[[], float],
        *,
        now: Callable[[], datetime],
        is_hurried: Callable[[], bool],
    ) -> None:
        """Return when the next check is due, or when a wake finds it `is_hurried`."""
        while True:
            # What was due before a wake is due after it: who changes the policy often shall not put
            # the check off. After a rest nothing is drawn: the least of many draws would come soon.
            left = max(self.left, 0.0)
            wait = left if self._recalled else min(draw(), left)
            self._recalled = False
            self.check_at = self._monotonic() + wait
            self.next_check = now() + timedelta(seconds=wait)
            self._wake.clear()
            woken = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    woken = await self._wake.wait()
            if not woken or is_hurried():
                self.check_at = _NEVER
                return
