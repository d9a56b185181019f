"""What an attack is, and what every one of them is held to.

An attack is a row: who the attacker is, what they do (a few lines on the simulator), and how the
device answers. The rows are tests (test_attacks.py) and the table of docs/update-attacks.md, so
that neither says more than the other.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.device.updater.bench import Bench
from tests.device.updater.simulator import NOW, RepositorySimulator
from tests.device.updater.thief import ONLINE, Thief, recorded

from limpet.device.link import messages as m
from limpet.device.updater.check import CheckResult, Outcome
from limpet.device.updater.engine import Engine
from limpet.firmware.slots import BOOT_FILE
from limpet.wire.report import ReportKind
from limpet.wire.rollout import PlannedRelease, PlanState, device_tag

__all__ = ["EVENTS", "REPORTS", "Attack", "Case", "nothing_before", "offered"]

EVENTS = {
    Outcome.REFUSED: "update-refused",
    Outcome.HELD: "update-held",
    Outcome.UNAVAILABLE: "update-check-failed",
    Outcome.NOTHING: "running",
    Outcome.READY: "update-installed",
}
"""The line in the device's log, by how a check ends."""

REPORTS = {
    Outcome.REFUSED: ReportKind.REFUSED,
    Outcome.HELD: ReportKind.HELD,
    Outcome.UNAVAILABLE: None,
    Outcome.NOTHING: ReportKind.RUNNING,
    Outcome.READY: ReportKind.INSTALLED,
}
"""What the vendor is told. Of a check that found nobody it learns by the silence."""


@dataclass
class Case:
    """One vendor and one device, and what an attack needs to remember."""

    bench: Bench
    repository: RepositorySimulator
    work: Path
    release: PlannedRelease | None = None
    kept: dict[str, Any] = field(default_factory=dict)

    def sign(self, version: str = "1.1.0", **changes: Any) -> PlannedRelease:
        """A release that the releases keys sign; not offered."""
        self.release = self.repository.add_release(self.work, version, **changes)
        return self.release

    def offer(self, release: PlannedRelease | None = None, **changes: Any) -> None:
        """The plan offers the release to everybody; published."""
        release = release or self.release
        assert release is not None
        self.repository.offer(release, **changes)

    def name(self, serial: str, **changes: Any) -> None:
        """The plan admits everybody, and one device by name."""
        assert self.release is not None
        self.offer(named=(device_tag(self.release.manifest_sha256, serial),), **changes)

    def withdraw(self) -> None:
        """The vendor takes the release back."""
        assert self.release is not None
        withdrawn = (self.release.manifest_sha256,)
        self.offer(state=PlanState.WITHDRAWN, withdrawn=withdrawn)

    def thief(self, *stolen: str, bold: bool = False) -> Thief:
        """Somebody who holds the keys of these roles; of everything online, if none is named."""
        return Thief(self.repository, stolen or ONLINE, bold=bold)

    def record(self) -> dict[str, bytes]:
        """The repository as it is now, for a replay."""
        return recorded(self.repository)

    def replay(self, files: dict[str, bytes]) -> None:
        """Serve these files and no others."""
        self.repository.files = dict(files)

    def spoil(self, prefix: str, data: bytes | None = None) -> None:
        """Change the last bit of the newest file under `prefix`, or put `data` in its place."""
        name = [name for name in self.repository.files if name.startswith(prefix)][-1]
        old = self.repository.files[name]
        self.repository.files[name] = old[:-1] + bytes([old[-1] ^ 1]) if data is None else data

    def end(self) -> None:
        """The attack is over: the vendor signs and serves, and the clock is right."""
        self.repository.signing.clear()
        self.repository.publishing = None
        self.repository.hooks.clear()
        self.bench.wall = NOW
        self.repository.publish()

    def check(self) -> tuple[CheckResult, m.UpdateStatus]:
        """One check, and what the owner sees after it."""

        async def both(engine: Engine) -> tuple[CheckResult, m.UpdateStatus]:
            return await engine.check(), engine.status()

        return self.bench.run(both)

    def boot_records(self) -> tuple[bytes, bytes]:
        """Both copies of boot's record, byte by byte."""
        path = self.bench.root / "slots" / BOOT_FILE
        return path.read_bytes(), path.with_name(f"{path.name}.copy").read_bytes()


def offered(case: Case) -> None:
    """A signed release is offered to everybody; the device has not looked yet."""
    case.sign()
    case.offer()


def nothing_before(case: Case) -> None:
    """The device has looked once and found nothing; then a release is offered."""
    case.bench.check()
    offered(case)


def still_the_vendors(case: Case) -> None:
    """What ends the attack for most: the vendor has its server back and offers the release."""
    case.end()
    case.offer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One row. `deed` comes after `before`; without `deed` the release is installed."""

    name: str  # also the test's
    title: str
    has: str  # the attacker
    deed: Callable[[Case], None]
    before: Callable[[Case], None] = offered
    outcome: Outcome = Outcome.REFUSED
    reason: str = ""
    does: str = ""  # beyond the outcome, for people
    residual: str = "-"
    left: str | None = None
    """Why the delta is given up, as the log says; empty: it is not. What was signed is installed
    either way."""
    after: Callable[[Case], None] | None = still_the_vendors
    """What the vendor does so that the device installs again; None: nothing can be undone."""
