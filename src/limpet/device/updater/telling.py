"""What the updater tells: its log line always, the vendor's report where there is one.

Owns that a hold or a refusal is reported once for each release and reason, that a device outside
of the release's sample reports nothing of it (`limpet.wire.rollout.is_reporting`), and that a
report is durable before the memory of it. Usable from the worker thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from limpet.device.link import messages as m
from limpet.device.updater.device import Device
from limpet.device.updater.progress import Attempt, Settled
from limpet.device.updater.reports import ReportQueue
from limpet.errors import Unavailable
from limpet.wire.report import ReportKind

__all__ = ["Happening", "Level", "Log", "Teller", "tell_refusal", "tell_settled"]

Level = Literal["info", "warning", "error"]
Log = Callable[[str, str, Level], None]

RUNNING_EVERY = timedelta(days=1)
"""A device that has nothing to tell says so once a day, and after each start."""

HELD_EVENT = "update-held"
_ONCE = frozenset({ReportKind.HELD, ReportKind.REFUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something to tell: to the device's log always, to the vendor if it has a `report`."""

    event: str
    detail: str
    level: Level = "info"
    report: ReportKind | None = None
    version: str | None = None
    manifest_sha256: str | None = None
    reason: str = ""
    private: bool = False  # the detail is the owner's, and no report's
    sampled: bool = True  # the device is among those that report on this release

    @property
    def held_key(self) -> str:
        """What makes a hold the same one for the log; empty for everything else."""
        return f"{self.manifest_sha256} {self.detail}" if self.event == HELD_EVENT else ""

    @property
    def key(self) -> str:
        """What makes a hold or refusal the same one."""
        kind = self.report.value if self.report is not None else ""
        return f"{kind} {self.manifest_sha256} {self.reason}"


class Teller:
    """Log and reports of one device. `log` must be safe to call from any thread."""

    def __init__(
        self,
        device: Device,
        queue: ReportQueue,
        log: Log,
        *,
        now: Callable[[], datetime],
        was_told: Callable[[str], bool],
        remember: Callable[[str], None],
    ) -> None:
        self._device, self._queue, self._write, self._now = device, queue, log, now
        self._was_told, self._remember = was_told, remember
        self.told_running: datetime | None = None  # when `tell_running` last did
        self._held = ""
        self._attempted = ""  # the manifest of the last attempt told, while it has no result

    def tell(self, happening: Happening) -> None:
        """Write the log line; queue the report, durable on return.

        A hold that lasts is one line in the log, not one for each check.
        """
        if happening.event != HELD_EVENT or self._held != happening.held_key:
            self._write(happening.event, happening.detail, happening.level)
        self._held = happening.held_key
        if happening.report is None or not happening.sampled:
            return
        once = happening.report in _ONCE and not self._is_owed(happening)
        if once and self._was_told(happening.key):
            return
        try:
            self._queue.add(
                happening.report,
                running=self._device.description.version,
                slot=self._device.slot,
                at=self._now(),
                version=happening.version,
                manifest_sha256=happening.manifest_sha256,
                reason=happening.reason,
                detail="" if happening.private else happening.detail,
            )
        except Unavailable as error:
            self._write("report-lost", str(error), "error")
            return
        if happening.report in _ONCE:
            self._remember(happening.key)
        began = happening.report is ReportKind.ATTEMPT
        self._attempted = (happening.manifest_sha256 or "") if began else ""

    def _is_owed(self, happening: Happening) -> bool:
        """Each attempt that the vendor was told of gets its result, however often it fails."""
        return bool(self._attempted) and happening.manifest_sha256 == self._attempted

    @property
    def owes(self) -> bool:
        """Whether the vendor was told of an attempt and not yet of its result."""
        return bool(self._attempted)

    def warn(self, event: str, detail: str) -> None:
        """A log line, if there is anything to say."""
        if detail:
            self._write(event, detail, "warning")

    def tell_running(self, *, sampled: bool) -> None:
        """That there is nothing to install: after a start, and then once a day."""
        now = self._now()
        if self.told_running is None or now - self.told_running >= RUNNING_EVERY:
            self.told_running = now
            detail = f"runs {self._device.description.version}"
            report = ReportKind.RUNNING
            self.tell(Happening(event="running", detail=detail, report=report, sampled=sampled))


def tell_settled(settled: Settled) -> Happening:
    """How a trial ended that was under way before this start."""
    attempt, passed = settled.attempt, settled.confirmed
    return Happening(
        event="update-confirmed" if passed else "update-fell-back",
        detail=f"{attempt.version} {'runs' if passed else 'failed: '}{settled.reason}",
        level="info" if passed else "error",
        report=ReportKind.CONFIRMED if passed else ReportKind.FELL_BACK,
        version=attempt.version,
        manifest_sha256=attempt.manifest_sha256,
        reason="" if passed else settled.reason.partition(":")[0][:64],
        sampled=attempt.reported,
    )


def tell_refusal(attempt: Attempt, refused: m.Refused) -> Happening:
    """That the supervisor does not let this release be tried."""
    return Happening(
        event="activation-refused",
        detail=f"{refused.reason}: {refused.message}",
        level="warning",
        report=ReportKind.REFUSED,
        version=attempt.version,
        manifest_sha256=attempt.manifest_sha256,
        reason=refused.reason,
        sampled=attempt.reported,
    )
