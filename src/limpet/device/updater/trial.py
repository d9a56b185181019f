"""Judging a new slot: does the product work, and can the next update still arrive?

Owns the rules of a trial, pure: observations in, a verdict out. A slot passes when
the app and the functions of its design file answered for a while without a break and the
vendor was reached once; a firmware that cannot reach its vendor could never be repaired
from afar. A verdict names every clause that fails: `app`, `function NAME`, `vendor`.

    healthy for `stable` seconds, vendor reached      pass
    unhealthy for `patience` seconds without a break  fail (its reason)
    nine tenths of the deadline are over              fail
"""

from dataclasses import dataclass, field

from limpet.device.updater.progress import UNREACHABLE

__all__ = ["Trial", "Verdict"]

_CLAUSES_CHARACTERS = 900
_DEADLINE_SHARE = 0.9  # boot ends the trial at the whole deadline
_STABLE_SHARE, _STABLE_BOUNDS = 1 / 12, (2.0, 30.0)
_PATIENCE_SHARE, _PATIENCE_BOUNDS = 1 / 6, (2.5, 60.0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a trial. `reason` is empty for a slot that passed."""

    passed: bool
    reason: str = ""


@dataclass(slots=True)
class Trial:
    """One trial; times are seconds of a monotonic clock, `begun` is when the role started."""

    deadline: float
    begun: float
    reached: bool = False
    vendor_fault: str = "not reached yet"  # why, while it is not
    _healthy_since: float | None = None
    _sick_since: float | None = field(default=None)
    _reason: str = "app: never answered"

    @property
    def stable(self) -> float:
        """Seconds that the product must be healthy without a break."""
        return _within(self.deadline * _STABLE_SHARE, _STABLE_BOUNDS)

    @property
    def patience(self) -> float:
        """Seconds that it may be unhealthy without a break, its start included."""
        return _within(self.deadline * _PATIENCE_SHARE, _PATIENCE_BOUNDS)

    def observe(self, now: float, *, healthy: bool, reason: str = "") -> Verdict | None:
        """The verdict after this answer of the app, or None while it is open."""
        if healthy:
            self._sick_since = None
            self._healthy_since = now if self._healthy_since is None else self._healthy_since
            if self.reached and now - self._healthy_since >= self.stable:
                return Verdict(passed=True)
        else:
            self._healthy_since = None
            self._sick_since = self._first_sick(now)
            self._reason = reason or "app: no reason given"
            if now - self._sick_since >= self.patience:
                return Verdict(passed=False, reason=f"unhealthy: {self.open_clauses}")
        if now - self.begun >= self.deadline * _DEADLINE_SHARE:
            return Verdict(passed=False, reason=self._too_late())
        return None

    @property
    def open_clauses(self) -> str:
        """What the slot has not shown yet; empty while it only has to go on so."""
        clauses = [] if self._healthy_since is not None else [self._reason]
        if not self.reached:
            clauses.append(f"vendor: {self.vendor_fault}")
        return "; ".join(clauses)[:_CLAUSES_CHARACTERS]

    def _first_sick(self, now: float) -> float:
        return now if self._sick_since is None else self._sick_since

    def _too_late(self) -> str:
        if self._healthy_since is not None and not self.reached:
            return f"{UNREACHABLE}: healthy, but {self.open_clauses}"[:_CLAUSES_CHARACTERS]
        vendor = "" if self.reached else f"; vendor: {self.vendor_fault}"
        return f"unhealthy: not steady before the deadline; {self._reason}{vendor}"


def _within(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
