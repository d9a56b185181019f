"""The one gate in front of every check of a guessable secret.

Owns the order that makes guessing slow: repeat? delayed? count durably, then
check, in the one worker. Nothing that compares a password or a claim code is
reachable except through `Guard.check`.
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from limpet.crypto.randomness import random_bytes
from limpet.device.accounts.clock import GuardedClock
from limpet.device.accounts.store import Store
from limpet.device.accounts.throttle import (
    FORGET_SECONDS,
    Allowed,
    Delayed,
    Policy,
    decide_attempt,
    record_success,
    record_unfinished,
)
from limpet.device.accounts.worker import HashWorker
from limpet.device.link import messages as m
from limpet.errors import Rejected, Unavailable

__all__ = ["Attempt", "Guard"]

MAX_REMEMBERED_GUESSES = 64  # a phone with an old password repeats a few
BUSY_SECONDS = 2.0  # by then the whole queue was worked off
REFUSALS_SUMMARY_SECONDS = 600.0  # six lines an hour, whatever the flood

_UNFINISHED = frozenset({"second-factor-needed", "clock-wrong"})
"""Refusals of a guess that was not wrong, but not all: they count neither way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One guess. `source` is the address, or a known client's id when `known`."""

    account: str
    source: str
    known: bool
    secret: str
    policy: Policy
    event: str  # of the owner's log when the guess is wrong
    address: str


class Guard:
    """Throttles, counts and checks guesses; `notice(event, detail)` writes the owner's log."""

    def __init__(
        self,
        store: Store,
        *,
        clock: GuardedClock,
        wall: Callable[[], float],
        worker: HashWorker,
        notice: Callable[[str, str], None],
    ) -> None:
        self._store, self._clock, self._wall = store, clock, wall
        self._worker, self._notice = worker, notice
        self._wrong: OrderedDict[bytes, m.Refused] = OrderedDict()  # memory only, keyed hashes
        self._memory_key = random_bytes(32)
        self._wrong_at = 0.0  # when one of them was last shown
        self._refused, self._summary_due = 0, 0.0

    async def check(self, attempt: Attempt, verify: Callable[[], None]) -> m.Refused | None:
        """`None` if `verify` (run in the worker) accepts the secret, else the refusal.

        What `verify` raises is the answer to a wrong guess.

        Numbered as they run:
        1. A repeat of a lately wrong guess is wrong again, neither counted nor hashed.
        2. A guess that comes too early is refused unseen.
        3. It is counted as failed, durably: pulling the plug does not undo it.
        4. It is checked; 5. only if right is the count taken back.
        """
        # 1.
        mark = self._mark(attempt)
        if mark in self._wrong:
            self._wrong_at = self._clock()
            return self._wrong[mark]
        # 2.
        decision = self._decide(attempt)
        if isinstance(decision, Delayed):
            self._count_refusal(decision)
            return _delayed(decision)
        # 3.
        self._store.save(throttle=decision.state, throttle_wall=self._wall())
        # 4.
        try:
            await self._worker.run(verify, known=attempt.known)
        except Rejected as error:
            refused = m.Refused(reason=error.reason, message=error.message)
            if error.reason in _UNFINISHED:
                self._take_back_one(attempt)
                return refused
            self._remember(mark, refused)
            self._notice(attempt.event, f"from {attempt.address}")
            return refused
        except Unavailable:
            return m.Refused(
                reason="busy", message="too many at once", retry_after_seconds=BUSY_SECONDS
            )
        # 5.
        self._take_back(attempt)
        return None

    def forget_guesses(self) -> None:
        """A secret was replaced: what was wrong may be right now."""
        self._wrong.clear()

    @property
    def reading(self) -> float:
        """The throttle's clock, in seconds."""
        return self._clock()

    @property
    def remembers(self) -> bool:
        """Whether the end of this process would lose something: a guess that may be repeated (a day
        after the last one it is as new), or how long refusals are still told in one line."""
        now = self._clock()
        repeats = bool(self._wrong) and now - self._wrong_at < FORGET_SECONDS
        return repeats or now < self._summary_due

    def _decide(self, attempt: Attempt) -> Allowed | Delayed:
        records = self._store.records
        return decide_attempt(
            records.throttle,
            attempt.account,
            attempt.source,
            known=attempt.known,
            now=self._clock(),
            policy=attempt.policy,
            key=records.throttle_key,
        )

    def _take_back(self, attempt: Attempt) -> None:
        records = self._store.records
        cleared = record_success(
            records.throttle,
            attempt.account,
            attempt.source,
            known=attempt.known,
            now=self._clock(),
            key=records.throttle_key,
        )
        self._store.save(throttle=cleared, throttle_wall=self._wall())

    def _take_back_one(self, attempt: Attempt) -> None:
        records = self._store.records
        lessened = record_unfinished(
            records.throttle,
            attempt.account,
            attempt.source,
            known=attempt.known,
            key=records.throttle_key,
        )
        self._store.save(throttle=lessened, throttle_wall=self._wall())

    def _mark(self, attempt: Attempt) -> bytes:
        text = f"{attempt.account}\0{attempt.secret}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._memory_key, text, hashlib.sha256)

    def _remember(self, mark: bytes, refused: m.Refused) -> None:
        self._wrong[mark], self._wrong_at = refused, self._clock()
        while len(self._wrong) > MAX_REMEMBERED_GUESSES:
            self._wrong.popitem(last=False)

    def _count_refusal(self, decision: Delayed) -> None:
        """One line for many: a flood must not write to the disk."""
        self._refused += 1
        now = self._clock()
        if now >= self._summary_due:
            what = "shut for strangers" if decision.shut else "too many"
            self._notice("guesses-refused", f"{self._refused} attempts refused: {what}")
            self._refused, self._summary_due = 0, now + REFUSALS_SUMMARY_SECONDS


def _delayed(decision: Delayed) -> m.Refused:
    seconds = float(int(decision.retry_after) + 1)
    if decision.shut:
        return m.Refused(
            reason="shut",
            message="after too many wrong passwords only a known browser may log in",
            retry_after_seconds=seconds,
        )
    return m.Refused(
        reason="throttled", message="too many attempts; wait", retry_after_seconds=seconds
    )
