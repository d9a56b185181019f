"""When to heat: a two-point controller with hysteresis and minimum times. Pure.

Owns the decision. Safety comes first in the order of the rules: whatever is
asked, no heating without a measurement, and none in a room that is too hot.
"""

from dataclasses import dataclass

__all__ = ["BAND_KELVIN", "Decision", "Relay", "decide_heating"]

BAND_KELVIN = 0.2
"""Half the width of the hysteresis: on below target - band, off above target + band."""

MIN_ON_SECONDS = 30.0
MIN_OFF_SECONDS = 30.0
AFTER_START_SECONDS = 5.0
"""A relay must not follow a program that is restarted again and again."""

TOO_HOT_CELSIUS = 35.0


@dataclass(frozen=True, slots=True)
class Relay:
    """The relay as last switched; `changed` in seconds of the monotonic clock."""

    on: bool
    changed: float

    @classmethod
    def at_start(cls, now: float) -> "Relay":
        """Off, and to stay so for `AFTER_START_SECONDS`."""
        return cls(False, now - (MIN_OFF_SECONDS - AFTER_START_SECONDS))


@dataclass(frozen=True, slots=True)
class Decision:
    """On or off, and why, as a person reads it."""

    on: bool
    reason: str


def decide_heating(relay: Relay, *, celsius: float | None, target: float, now: float) -> Decision:
    """Whether to heat now. `celsius` is None without a plausible measurement."""
    # 1. Fail safe: these two know no minimum times.
    if celsius is None:
        return Decision(False, "no measurement")
    if celsius >= TOO_HOT_CELSIUS:
        return Decision(False, "too hot")
    # 2. What the temperature asks for; inside the band the relay stays as it is.
    if celsius <= target - BAND_KELVIN:
        wanted = Decision(True, "below target")
    elif celsius >= target + BAND_KELVIN:
        wanted = Decision(False, "above target")
    else:
        wanted = Decision(relay.on, "at target")
    # 3. The relay's minimum times.
    minimum = MIN_ON_SECONDS if relay.on else MIN_OFF_SECONDS
    if wanted.on != relay.on and now - relay.changed < minimum:
        return Decision(relay.on, "minimum on time" if relay.on else "minimum off time")
    return wanted
