"""How fast a transfer may go, how slow it may be, and how long it waits after a cut.

Pure: no clock, no socket, no waiting; times are seconds on the caller's clock.
"""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = [
    "LEAST_RATE",
    "MAX_FRUITLESS",
    "PATIENCE_SECONDS",
    "Bandwidth",
    "Patience",
    "decide_pause",
]

LEAST_RATE = 1024
"""Bytes a second below which a server counts as silent (slow retrieval, TUF 1.0.33, 1.5.2).

A third of what a narrow-band radio (NB-IoT, 20 to 60 kbit/s) brings: whoever is slower than that
would take a day for 86 MiB, and holds a device that has better things to ask.
"""

PATIENCE_SECONDS = 60.0
"""How far a server may fall behind `LEAST_RATE`: any stretch of the transfer brings at least
`LEAST_RATE` times its seconds beyond this. A radio cell that is busy for a minute is borne."""

MAX_FRUITLESS = 4
"""Requests in a row that bring next to nothing, after which the next check goes on instead."""

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_BURST_SECONDS = 0.25  # of the limit that may come at once


@dataclass(slots=True)
class Bandwidth:
    """A token bucket: over any stretch of t seconds at most `per_second * t` bytes, and a burst of
    a quarter of a second's. None is no limit."""

    per_second: int | None
    _tokens: float = 0.0
    _at: float = float("-inf")

    def took(self, count: int, now: float) -> float:
        """`count` bytes were taken at `now`: the seconds to wait before more are."""
        if self.per_second is None:
            return 0.0
        burst = self.per_second * _BURST_SECONDS
        grown = (now - self._at) * self.per_second
        self._tokens, self._at = min(burst, self._tokens + grown) - count, now
        return max(0.0, -self._tokens / self.per_second)


@dataclass(slots=True)
class Patience:
    """A least rate over a sliding span: what a server owes, counted in seconds.

    Waiting uses patience up, each byte gives some back, and never more than `span` seconds are
    saved up: a server that was fast before cannot be silent for longer. Only time spent waiting for
    the server counts, not what a limit or a slow disk takes.
    """

    rate: int = LEAST_RATE
    span: float = PATIENCE_SECONDS
    left: float = -1.0

    def __post_init__(self) -> None:
        if self.left < 0:
            self.left = self.span

    def heard(self, count: int, waited: float) -> bool:
        """`count` bytes came after `waited` seconds: whether the server is fast enough."""
        self.left = min(self.span, self.left - waited + count / self.rate)
        return self.left > 0


def decide_pause(fruitless: int, random: Callable[[], float]) -> float:
    """Seconds until the next request after a cut; `fruitless` requests in a row brought nothing.

    Exponential from one second, at most a minute, with jitter over its upper half, so that the
    devices behind one broken line do not come back together.
    """
    ceiling = min(_FIRST_PAUSE * 2.0 ** min(max(fruitless, 0), 16), _LONGEST_PAUSE)
    return ceiling * (1 + random()) / 2
