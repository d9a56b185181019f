"""Loops and health: when a loop runs next, and whether the product works. Pure.

Owns the two decisions. Never runs anything, and never calls an exception a pass.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

__all__ = [
    "BACKOFF_MAX_SECONDS",
    "LoopStatus",
    "Unhealthy",
    "after_failure",
    "after_success",
    "decide_health",
]

BACKOFF_MIN_SECONDS = 0.5
BACKOFF_MAX_SECONDS = 60.0
OVERDUE_ROUNDS = 3.0
OVERDUE_GRACE_SECONDS = 5.0


class Unhealthy(Exception):
    """Raised by a product's health check: the product does not do its work, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopStatus:
    """One loop. Times are seconds of the monotonic clock."""

    name: str
    every: float
    due: float
    failures: int = 0  # in a row
    finished: float | None = None  # the last time that it ran through
    error: str = ""


def after_success(status: LoopStatus, now: float) -> LoopStatus:
    """Next turn one period after the last due time; turns that were missed are not made up."""
    due = max(status.due + status.every, now)
    return replace(status, due=due, failures=0, finished=now, error="")


def after_failure(status: LoopStatus, now: float, error: str) -> LoopStatus:
    """Next turn after a wait that doubles from the period (at least half a second) to a minute."""
    base = max(status.every, BACKOFF_MIN_SECONDS)
    wait = min(base * 2 ** min(status.failures, 16), max(BACKOFF_MAX_SECONDS, status.every))
    return replace(status, due=now + wait, failures=status.failures + 1, error=error)


def decide_health(
    loops: Iterable[LoopStatus], faults: Iterable[str], now: float
) -> tuple[bool, str]:
    """Whether the product works, and if not, all reasons in one line.

    A loop that failed its last turn, never finished one or is overdue is a fault of its own.
    """
    reasons = list(faults)
    for loop in loops:
        if loop.failures:
            reasons.append(f"loop {loop.name} fails: {loop.error}")
        elif loop.finished is None:
            reasons.append(f"loop {loop.name} has not run yet")
        elif now - loop.finished > OVERDUE_ROUNDS * loop.every + OVERDUE_GRACE_SECONDS:
            reasons.append(f"loop {loop.name} has not run for {now - loop.finished:.0f} s")
    return not reasons, "; ".join(reasons)
