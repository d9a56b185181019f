"""When the updater checks next: irregular, patient after failures, obedient to the server.

Pure. A fleet that was switched on together (after a power cut in a city) spreads
by itself, because every wait is drawn anew, the first one too (draft-moore, 2.4.1).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

__all__ = [
    "LONGEST_OWNER_SECONDS",
    "MAX_BACKOFF_SECONDS",
    "Interval",
    "choose_interval",
    "decide_first_wait",
    "decide_recheck",
    "decide_wait",
    "seeded_random",
]

MAX_BACKOFF_SECONDS = 86_400.0
"""The longest wait that failures or a server's Retry-After can cause: a device asks each day."""

LONGEST_OWNER_SECONDS = 4 * 86_400
"""The longest interval of an owner's choice: with its spread, still a look each week."""

_MAX_DOUBLINGS = 16
_SPREAD = 0.5  # of the interval, to both sides: waits are uniform over its whole length
_LEAST_GROWTH = 5 / 3  # of the longest over the shortest wait: a spread of half of their mean
_FIRST_RETRY_SHARE = 0.75  # of the mean interval: the first retry comes within it
_LEAST_RETRY_SECONDS = 2.0
_WINDOW_SHARE = 0.75  # of a window, so that there is time left to install in it
_RECHECK_SHARE = 0.125  # of the mean interval

Random = Callable[[], float]
"""Uniform in [0, 1)."""


def seeded_random(device_id: str, entropy: bytes) -> Random:
    """Draws of this device's own.

    Two devices draw differently even if their kernels began with the same entropy (a thousand
    copies of one image, switched on together), and one device differently after each start.
    """
    seed = hashlib.sha256(b"limpet-check-1\0" + device_id.encode() + b"\0" + entropy).digest()
    drawn = 0

    def draw() -> float:
        nonlocal drawn
        drawn += 1
        digest = hashlib.sha256(seed + drawn.to_bytes(8, "big")).digest()
        return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)

    return draw


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds in seconds between which a wait is drawn uniformly; at least half of it wide."""

    shortest: float
    longest: float

    @property
    def mean(self) -> float:
        """Seconds between two checks, on average."""
        return (self.shortest + self.longest) / 2

    def draw(self, random: Random) -> float:
        """A wait in seconds."""
        return self.shortest + (self.longest - self.shortest) * random()


def choose_interval(
    *,
    owner_seconds: int | None,
    planned_seconds: int | None,
    product: tuple[int, int, int],
) -> Interval:
    """The interval in force: the product's, changed by owner and plan within bounds.

    `product` is (base, shortest, longest) seconds of the design file. No wait is ever drawn
    below its shortest. The owner may ask more seldom, up to `LONGEST_OWNER_SECONDS`. The plan is
    signed online: it moves the base only within the product's bounds, and an owner's base only up,
    so that a thief of that key can neither silence devices (no wait is longer than 1.5 times the
    product's longest, or the owner's own) nor turn them against a server.
    """
    base, shortest, longest = product
    if owner_seconds is not None:
        own = float(min(max(owner_seconds, shortest), max(LONGEST_OWNER_SECONDS, shortest)))
        return _around(max(own, min(planned_seconds or 0, longest)), least=shortest)
    if planned_seconds is not None:
        return _around(min(max(planned_seconds, shortest), longest), least=shortest)
    if longest - shortest >= base * _SPREAD:
        return Interval(shortest, longest)
    return _around(base, least=shortest)


def decide_first_wait(interval: Interval, random: Random) -> float:
    """Seconds until the first check after a start.

    Uniform over a whole mean interval: a city that gets its power back at one moment then asks
    at just the rate of any other day.
    """
    return interval.mean * random()


def decide_wait(
    interval: Interval, *, failures: int, retry_after: float | None, random: Random
) -> float:
    """Seconds until the next check, after `failures` in a row and what the server asked for.

    After a failure: exponential backoff with jitter over its upper half, from three eighths of the
    mean interval to a day. A Retry-After (RFC 9110, 10.2.3) is a lower bound; a server that names
    one moment to everybody (a date does) still gets them over a whole interval.
    """
    if failures <= 0:
        wait = interval.draw(random)
    else:
        first = max(interval.mean * _FIRST_RETRY_SHARE, _LEAST_RETRY_SECONDS)
        ceiling = min(first * 2.0 ** min(failures - 1, _MAX_DOUBLINGS), MAX_BACKOFF_SECONDS)
        wait = ceiling * (1 + random()) / 2
    asked = min(retry_after or 0.0, MAX_BACKOFF_SECONDS)
    if asked > wait:
        wait = asked + interval.mean * random()
    return wait


def decide_recheck(
    at: datetime, ends: datetime | None, *, now: datetime, interval: Interval, random: Random
) -> float:
    """Seconds until a held release is looked at again, whose hold ends `at`.

    Spread over three quarters of what then opens (a window that `ends`), because a whole fleet
    may have the window that its product came with; else over an eighth of the mean interval.
    """
    spread = interval.mean * _RECHECK_SHARE
    if ends is not None:
        spread = (ends - at).total_seconds() * _WINDOW_SHARE
    return max((at - now).total_seconds(), 0.0) + spread * random()


def _around(seconds: float, *, least: float) -> Interval:
    shortest = max(seconds * (1 - _SPREAD), least)
    return Interval(shortest, max(seconds * (1 + _SPREAD), shortest * _LEAST_GROWTH))
