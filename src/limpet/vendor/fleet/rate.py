"""How often one device may call: a token bucket for each, in bounded memory.

Owns the arithmetic. The time is a parameter (monotonic seconds).
"""

from collections import OrderedDict
from dataclasses import dataclass

from limpet.errors import Misuse

__all__ = ["REPORTS", "Rate", "RateLimiter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`burst` calls at once, then `per_second`; `devices` are remembered at most."""

    burst: int
    per_second: float
    devices: int

    def __post_init__(self) -> None:
        if self.burst < 1 or self.per_second <= 0 or self.devices < 1:
            raise Misuse("a rate needs a positive burst, pace and number of devices")


REPORTS = Rate(burst=60, per_second=1.0, devices=100_000)
"""A queue that piled up offline drains at once; then one report a second."""


class RateLimiter:
    """The buckets. Not thread-safe: one event loop calls it.

    The device not heard of longest is forgotten, and then has a full bucket. That is no gift:
    devices are authenticated, so nobody can push others out with names of its own making.
    """

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, device: str, *, now: float) -> float:
        """Seconds until `device` may call again: 0 if it may now, and then the call is counted."""
        rate = self._rate
        level, since = self._buckets.pop(device, (float(rate.burst), now))
        level = min(float(rate.burst), level + max(0.0, now - since) * rate.per_second)
        allowed = level >= 1.0
        self._buckets[device] = (level - 1.0 if allowed else level, now)
        while len(self._buckets) > rate.devices:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - level) / rate.per_second
