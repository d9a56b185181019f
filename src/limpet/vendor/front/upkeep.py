"""What the service forgets: rows and files that nobody needs any more, bit by bit.

Owns when. Which they are is said where they belong: attempts in `limpet.vendor.rollout.forgetting`,
files in `limpet.vendor.repository.forgetting`. (Certificates and reports are forgotten with the
device's next.)
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from limpet.vendor.home import Home
from limpet.vendor.repository import forget_superseded
from limpet.vendor.rollout import forget_attempts
from limpet.vendor.store import Database

__all__ = ["FIRST_SECONDS", "REST_SECONDS", "Upkeep"]

FIRST_SECONDS = 60.0  # after a start, which others wait for
REST_SECONDS = 3600.0  # once nothing is left


@dataclass(slots=True, kw_only=True)
class Upkeep:
    """One short step a call, then a rest once nothing is left. `monotonic` gives seconds."""

    home: Home
    database: Database
    clock: Callable[[], datetime]  # UTC
    monotonic: Callable[[], float]
    _due: float = field(init=False)

    def __post_init__(self) -> None:
        self._due = self.monotonic() + FIRST_SECONDS

    def step(self) -> None:
        """Forget a little, if it is time. Raises `Unavailable` or `Rejected`; then it is tried
        again after a rest."""
        if self.monotonic() < self._due:
            return
        now, due = self.clock(), self._due
        self._due = self.monotonic() + REST_SECONDS
        if forget_attempts(self.database, now=now) or forget_superseded(self.home, now=now):
            self._due = due
