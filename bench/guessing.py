"""`./run bench guessing`: guessers of any number against the real gate, hours in a minute.

Owns a simulated clock and crowd; everything that decides is the device's own code: the
guard, its throttle and clock, the store on a real disk, read again at every restart. Prints
how many guesses were really checked beside what docs/authentication.md promises.
"""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from limpet.device.accounts.clock import MOST_CREDIT_SECONDS, GuardedClock
from limpet.device.accounts.guard import Attempt, Guard
from limpet.device.accounts.store import Store
from limpet.device.accounts.throttle import PASSWORD, Policy, most_guesses
from limpet.device.accounts.worker import HashWorker
from limpet.errors import Rejected
from limpet.https.admission import source_of

__all__ = ["CAMPAIGNS", "Campaign", "Outcome", "simulate"]

WALL = 1_800_000_000.0  # Unix time at the start
NOTICED = "login-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """An attack: so many sources, guesses a second over all of them, and hours."""

    name: str
    sources: int
    rate: float
    hours: float
    ipv6: bool = False
    accounts: int = 1  # guessed at in turn; the first exists
    restart_every: float = 0.0  # seconds; 0: never
    forged_clock: float = 0.0  # seconds that the wall clock jumps ahead at each restart
    owner_every: float = 0.0  # seconds between right logins of a known client; 0: never
    policy: Policy = PASSWORD


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it, for the account that was checked most."""

    tried: int
    checked: int
    worst_hour: int  # checked within any one hour
    restarts: int
    bound: float  # for all hours
    owner_refused: int


CAMPAIGNS = (
    Campaign(name="one source", sources=1, rate=1.0, hours=24),
    Campaign(name="a household", sources=5, rate=1.0, hours=24),
    Campaign(name="256 addresses", sources=256, rate=2.0, hours=24),
    Campaign(name="100,000 addresses", sources=100_000, rate=4.0, hours=24),
    Campaign(name="100,000 IPv6 networks", sources=100_000, rate=4.0, hours=24, ipv6=True),
    Campaign(name="one IPv6 network", sources=1, rate=4.0, hours=24, ipv6=True),
    Campaign(name="50 names in turn", sources=10_000, rate=4.0, hours=12, accounts=50),
    Campaign(name="a restart a minute", sources=10_000, rate=2.0, hours=12, restart_every=60.0),
    Campaign(
        name="the owner logs in hourly",
        sources=10_000,
        rate=2.0,
        hours=24,
        owner_every=3600.0,
    ),
    Campaign(
        name="a restart an hour, clock forged",
        sources=10_000,
        rate=2.0,
        hours=6,
        restart_every=3600.0,
        forged_clock=86400.0,
    ),
)


def promised(campaign: Campaign, restarts: int) -> float:
    """The documented bound; each restart under a forged wall clock may add its credit."""
    hours = campaign.hours
    if campaign.forged_clock:
        hours += restarts * MOST_CREDIT_SECONDS / 3600
    return most_guesses(PASSWORD, hours)


def simulate(campaign: Campaign, directory: Path, *, seed: int) -> Outcome:
    """Run the campaign against a gate whose records lie below `directory`."""
    return asyncio.run(_Simulation(campaign, directory, Random(seed)).run())  # noqa: S311


class _Simulation:
    def __init__(self, campaign: Campaign, directory: Path, dice: Random) -> None:
        self._campaign, self._directory, self._dice = campaign, directory, dice
        self._now, self._wall = 0.0, WALL
        self._checked: list[tuple[float, str]] = []
        self._owner_refused = 0
        self._worker = HashWorker()
        Store.load(directory, fresh=True).save()
        self._guard = self._start()

    def _start(self) -> Guard:
        """As the role does when it starts."""
        store = Store.load(self._directory)
        records = store.records
        begun = self._now
        return Guard(
            store,
            clock=GuardedClock.resume(
                stored=records.throttle.time,
                stored_wall=records.throttle_wall,
                wall=self._wall,
                monotonic=lambda: self._now - begun,
            ),
            wall=lambda: self._wall,
            worker=self._worker,
            notice=lambda event, detail: None,
        )

    async def run(self) -> Outcome:
        campaign = self._campaign
        end, tried, restarts = campaign.hours * 3600, 0, 0
        restart, owner = campaign.restart_every or end, campaign.owner_every or end
        while self._now < end:
            if self._now >= restart:
                self._wall += campaign.forged_clock
                self._guard = self._start()
                restarts, restart = restarts + 1, restart + campaign.restart_every
            if self._now >= owner:
                await self._log_in()
                owner += campaign.owner_every
            tried += 1
            await self._guess(tried)
            passed = self._dice.expovariate(campaign.rate)
            self._now, self._wall = self._now + passed, self._wall + passed
        self._worker.close()
        return self._outcome(tried, restarts)

    async def _guess(self, number: int) -> None:
        account = f"login:account-{number % self._campaign.accounts}"

        def verify() -> None:
            self._checked.append((self._now, account))
            raise Rejected("wrong-password", "not this one")

        await self._guard.check(self._attempt(account, f"guess {number}", known=False), verify)

    async def _log_in(self) -> None:
        attempt = self._attempt("login:account-0", "the right one", known=True)
        self._owner_refused += await self._guard.check(attempt, lambda: None) is not None

    def _attempt(self, account: str, secret: str, *, known: bool) -> Attempt:
        return Attempt(
            account=account,
            source="the owner's browser" if known else source_of(self._address()),
            known=known,
            secret=secret,
            policy=self._campaign.policy,
            event=NOTICED,
            address="",
        )

    def _address(self) -> str:
        """Within its source, an IPv6 guesser takes another address for each guess."""
        number = self._dice.randrange(self._campaign.sources)
        if self._campaign.ipv6:
            low = f"{self._dice.getrandbits(16):x}:{self._dice.getrandbits(16):x}"
            return f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::{low}"
        return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    def _outcome(self, tried: int, restarts: int) -> Outcome:
        per_account = Counter(account for _, account in self._checked)
        account, checked = max(per_account.items(), key=lambda item: item[1], default=("", 0))
        times = [when for when, who in self._checked if who == account]
        worst = max(
            (sum(begin <= when < begin + 3600 for when in times) for begin in times), default=0
        )
        return Outcome(
            tried=tried,
            checked=checked,
            worst_hour=worst,
            restarts=restarts,
            bound=promised(self._campaign, restarts),
            owner_refused=self._owner_refused,
        )


def report(show: Callable[[str], None]) -> bool:
    """Run every campaign and show a line of each; whether all promises were kept."""
    kept = True
    show(f"{'campaign':<34}{'tried':>9}{'checked':>9}{'worst hour':>12}{'promised':>10}{'s':>6}")
    for campaign in CAMPAIGNS:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="limpet-guessing-") as directory:
            outcome = simulate(campaign, Path(directory), seed=1)
        good = outcome.checked <= outcome.bound and outcome.owner_refused == 0
        kept = kept and good
        line = f"{campaign.name:<34}{outcome.tried:>9}{outcome.checked:>9}{outcome.worst_hour:>12}"
        took = time.monotonic() - begun
        show(f"{line}{outcome.bound:>10.0f}{took:>6.1f}  {'kept' if good else 'BROKEN'}")
    return kept


def main() -> int:
    """Print the table; 1 if a promise was broken."""
    return 0 if report(lambda line: print(line, flush=True)) else 1
