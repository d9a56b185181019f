"""The throttle's clock: it never goes backwards, and no one can wind it forward.

Owns the reading of time for delays. While the process runs, only monotonic time
counts, so a forged wall clock (NTP is not authenticated) opens nothing. Across
a restart the wall clock is believed for at most `MOST_CREDIT_SECONDS`.
"""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["MOST_CREDIT_SECONDS", "GuardedClock"]

MOST_CREDIT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class GuardedClock:
    """Seconds that only grow: those stored, what passed while off (bounded), and since."""

    base: float
    started: float
    monotonic: Callable[[], float]

    @classmethod
    def resume(
        cls, *, stored: float, stored_wall: float, wall: float, monotonic: Callable[[], float]
    ) -> "GuardedClock":
        """Go on from the stored reading; `stored_wall` and `wall` are Unix times."""
        credit = min(max(0.0, wall - stored_wall), MOST_CREDIT_SECONDS)
        return cls(base=stored + credit, started=monotonic(), monotonic=monotonic)

    @classmethod
    def go_on(
        cls, *, reading: float, at: float, monotonic: Callable[[], float]
    ) -> "GuardedClock | None":
        """Go on from a reading that a process of this role left at the monotonic second `at`.

        None if that lies ahead, so that it was before the machine's last start. A later one is
        believed even then: the machine has run for longer than it says passed.
        """
        now = monotonic()
        if at > now:
            return None
        return cls(base=reading + (now - at), started=now, monotonic=monotonic)

    def __call__(self) -> float:
        """The reading, in seconds."""
        return self.base + (self.monotonic() - self.started)
