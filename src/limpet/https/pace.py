"""How often a crowd may have work done: one spacing for all of it, whoever asks.

Owns the arithmetic (the generic cell rate algorithm, as ITU-T I.371 calls it): one
number says when the next free turn is. Nothing grows with the crowd, and turns come in
the order in which they were asked for. Has no clock and never waits itself.
"""

from dataclasses import dataclass

__all__ = ["Pace", "Turns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """So many turns a second, and so many at once after a quiet time."""

    per_second: float
    burst: int


@dataclass(slots=True)
class Turns:
    """The turns of one crowd; times are seconds on the caller's clock."""

    pace: Pace
    _next: float = float("-inf")  # when the turn after those given comes

    def take(self, now: float) -> float:
        """Take the next turn: the seconds until it comes."""
        spacing = 1 / self.pace.per_second
        turn = max(self._next, now - (self.pace.burst - 1) * spacing)
        self._next = turn + spacing
        return max(0.0, turn - now)

    def give_back(self) -> None:
        """A turn that was taken is not used: all that were taken later, and the next, come sooner.

        Those that wait already keep their time; only the next is given earlier.
        """
        self._next -= 1 / self.pace.per_second
