"""Waits and deadlines on a device whose clock may be wrong: pure.

Owns one rule: a wait is over when the device has *run* for so long. Time without power
does not count, and no clock that somebody sets does, so a power cut can only make a wait
longer. A deadline is over by running time too, and earlier if the wall clock says so.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from limpet.wire.codec import Message

__all__ = ["TICK_SECONDS", "Countdown", "Deadline", "begin_deadline", "spend"]

TICK_SECONDS = 300.0
"""How often running time is made durable, and so the most that a power cut adds to a wait."""

Seconds = Annotated[float, Meta(ge=0)]


class Countdown(Message, frozen=True, kw_only=True):
    """A wait of `seconds`, of which the device has run for `spent`."""

    seconds: Seconds
    spent: Seconds = 0.0

    @property
    def left(self) -> float:
        """Seconds of running time that are still to come."""
        return max(0.0, self.seconds - self.spent)

    @property
    def is_over(self) -> bool:
        """Whether it has been waited for long enough."""
        return self.spent >= self.seconds


class Deadline(Message, frozen=True, kw_only=True):
    """Something that lives for `life` of running time, and not beyond `until` (Unix time)."""

    life: Countdown
    until: float

    def is_alive(self, wall: float) -> bool:
        """Whether it still counts at the Unix time `wall`."""
        return not self.life.is_over and wall < self.until


def begin_deadline(seconds: float, *, wall: float) -> Deadline:
    """A deadline `seconds` from the Unix time `wall`."""
    return Deadline(life=Countdown(seconds=seconds), until=wall + seconds)


def spend(countdown: Countdown, seconds: float) -> Countdown:
    """`countdown` after the device has run for `seconds` more; never less than before."""
    return msgspec.structs.replace(countdown, spent=countdown.spent + max(0.0, seconds))
