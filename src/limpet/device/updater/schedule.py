"""When the updater checks next: irregular, patient after failures, obedient to the server.

Pure. A fleet that was switched on together (after a power cut in a city) spreads
by itself, because every wait is drawn anew, the first one too (draft-moore, 2.4.1).
"""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["MAX_BACKOFF_SECONDS", "Interval", "choose_interval", "decide_wait"]

MAX_BACKOFF_SECONDS = 86_400.0
"""The longest wait that failures or a server's Retry-After can cause: a device asks each day."""

_MAX_DOUBLINGS = 16
_SPREAD = 0.5  # of the interval, to both sides: waits are uniform over its whole length
_FIRST_RETRY_SHARE = 0.25  # the first retry comes within a quarter of the interval

Random = Callable[[], float]
"""Uniform in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds in seconds between which a wait is drawn uniformly; at least half of it wide."""

    shortest: float
    longest: float

    def draw(self, random: Random) -> float:
        """A wait in seconds."""
        return self.shortest + (self.longest - self.shortest) * random()


def choose_interval(
    *,
    owner_seconds: int | None,
    planned_seconds: int | None,
    product: tuple[int, int, int],
) -> Interval:
    """The interval in force: the owner's, else the plan's, else the product's.

    `product` is (base, shortest, longest) seconds of the design file. The plan is signed
    online, so it moves only within the product's bounds: a thief of that key can neither
    silence devices nor turn them against a server.
    """
    base, shortest, longest = product
    if owner_seconds is not None:
        return _around(owner_seconds)
    if planned_seconds is not None:
        return _around(min(max(planned_seconds, shortest), longest))
    if longest - shortest >= base * _SPREAD:
        return Interval(shortest, longest)
    return _around(base)


def decide_wait(
    interval: Interval, *, failures: int, retry_after: float | None, random: Random
) -> float:
    """Seconds until the next check, after `failures` in a row and what the server asked for.

    After a failure: exponential backoff with full jitter over its upper half, from a quarter
    of the interval to a day. A Retry-After (RFC 9110, 10.2.3) is a lower bound.
    """
    if failures <= 0:
        wait = interval.draw(random)
    else:
        first = max(interval.shortest * _FIRST_RETRY_SHARE, 1.0)
        ceiling = min(first * 2.0 ** min(failures, _MAX_DOUBLINGS), MAX_BACKOFF_SECONDS)
        wait = ceiling * (1 + random()) / 2
    if retry_after is not None:
        asked = min(max(retry_after, 0.0), MAX_BACKOFF_SECONDS)
        wait = max(wait, asked * (1 + random() / 4))
    return wait


def _around(seconds: float) -> Interval:
    return Interval(seconds * (1 - _SPREAD), seconds * (1 + _SPREAD))
