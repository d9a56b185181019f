"""A vendor with one published release, a clock, and devices that report."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.vendor.workshop import (
    MODEL,
    Clock,
    make_release,
    make_report,
)

from limpet.vendor import rollout as rollouts
from limpet.vendor.enrollment import DeviceIdentity, IdentityKind
from limpet.vendor.fleet import Intake
from limpet.vendor.home import Home
from limpet.vendor.repository import Repository
from limpet.vendor.rollout import HealthTest, Rollout, RolloutStatus
from limpet.vendor.store import Database, Devices
from limpet.wire.report import ReportKind
from limpet.wire.rollout import Plan, position

QUICK = {"wait_seconds": 10, "silent_seconds": 100}
SHARES = (250_000, 1_000_000)
TEST = HealthTest(tolerable=0.02, intolerable=0.2, alpha=0.1, beta=0.1)
"""Halts on two failures in a row."""


@dataclass
class Bench:
    """A vendor with one published release, a clock, and devices that report."""

    rollout: Rollout
    clock: Clock
    digest: str
    sent: int = 0

    def report(self, serial: str, *kinds: ReportKind) -> None:
        intake = Intake(database=self.rollout.database, models=(MODEL,))
        client = DeviceIdentity(
            serial=serial, model=MODEL, kind=IdentityKind.OPERATIONAL, spki_sha256="0" * 64
        )
        for kind in kinds:
            self.sent += 1
            body = make_report(
                kind, sequence=self.sent, version="1.1.0", manifest_sha256=self.digest
            )
            intake.take(client, body, now=self.clock())

    def see(self, *serials: str) -> None:
        with self.rollout.database.transaction() as connection:
            for serial in serials:
                Devices(connection).see(serial, MODEL, now=self.clock())

    def tick(self, seconds: float = 0) -> RolloutStatus:
        self.clock.pass_seconds(seconds)
        rollouts.tick(self.rollout)
        return rollouts.status(self.rollout)

    def start(self, *, canaries: Sequence[str] = (), version: str = "1.1.0") -> RolloutStatus:
        return rollouts.start(
            self.rollout, version, shares_ppm=SHARES, canaries=canaries, test=TEST, **QUICK
        )

    def admitted(self, number: int, *, share: int = SHARES[0]) -> list[str]:
        """Serials of devices that the first share admits."""
        names = map("TH-{:04d}".format, itertools.count())
        early = (one for one in names if position(self.digest, one) < share)
        return list(itertools.islice(early, number))

    def plan(self) -> Plan:
        return self.rollout.repository.plan()


GOOD = (ReportKind.ATTEMPT, ReportKind.INSTALLED, ReportKind.CONFIRMED)
BAD = (ReportKind.ATTEMPT, ReportKind.INSTALLED, ReportKind.FELL_BACK)


def make_bench(home: Home, tmp_path: Path) -> Bench:
    clock = Clock()
    repository = Repository(home, clock)
    published = repository.add_release(make_release(home, tmp_path))
    rollout = Rollout(
        home=home, database=Database.open(home.database), repository=repository, clock=clock
    )
    bench = Bench(rollout, clock, published.manifest_sha256)
    bench.see("TH-CANARY")
    return bench
