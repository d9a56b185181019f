"""One check, from the metadata to a slot that is ready to be tried.

Owns the order of steps and what is told about each: a log line, a report, the
status. Blocking; runs in the updater's one worker thread. Never activates by
itself: it returns what may be activated, after the plan was read again.

    1 look        metadata, floor, plan, manifest, support
    2 verify      may this release ever run here? (limpet.firmware.decision, 1 to 8)
    3 decide      now? (9 to 16), and fetched now? (17 to 20, limpet.device.updater.holding)
    4 install     into the staging area, group by group
    5 look again  a halt or withdrawal meanwhile counts
    6 hand over   the activation
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from limpet.device.link import messages as m
from limpet.device.updater.fetching import Fetching
from limpet.device.updater.floor import Floor, raise_floor
from limpet.device.updater.holding import (
    DAY_LIMIT,
    FILE_REFUSED,
    Room,
    decide_transfer,
    measure_room,
)
from limpet.device.updater.ledger import is_refused
from limpet.device.updater.progress import Attempt
from limpet.device.updater.repository import Offer, Repository
from limpet.device.updater.sampling import decide_sampled
from limpet.device.updater.source import Busy, FileRefused, Source
from limpet.device.updater.telling import HELD_EVENT, Happening, Level
from limpet.device.updater.transfer import Account, DaySpent, Line
from limpet.device.updater.way import choose_delta, describe_bytes, describe_way, load_record
from limpet.errors import Rejected, Unavailable
from limpet.firmware.decision import (
    FAILED_BEFORE,
    OWNER_HOLDS,
    DeviceFacts,
    Hold,
    Install,
    Nothing,
    OwnerPolicy,
    VerifiedRelease,
    decide_installation,
    verify_release,
)
from limpet.firmware.devices import SlotDevices
from limpet.firmware.slots import SlotName, other_slot
from limpet.storage import reason_for
from limpet.wire.release import Delta
from limpet.wire.report import ReportKind
from limpet.wire.support import SupportStatement
from limpet.wire.times import verify_made_by

__all__ = ["Check", "CheckResult", "Outcome", "Tell", "run_check"]


class Outcome(enum.Enum):
    """How a check ended."""

    NOTHING = "nothing"
    HELD = "held"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    READY = "ready"  # what is staged may be activated


Tell = Callable[[Happening], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Everything that a check needs; nothing in it changes meanwhile."""

    repository: Repository
    source: Source
    line: Line
    metered: bool  # the owner says so of the network
    account: Account
    facts: DeviceFacts
    policy: OwnerPolicy
    consented: str  # the manifest that the owner agreed to, or empty
    floor: Floor
    keep_floor: Callable[[Floor], None]
    now: Callable[[], datetime]  # UTC, not before the floor's time
    running_slot: SlotName
    running_tree: str  # its digest, as boot verified it
    running_path: Path
    delta_record: Path
    staging: Path
    devices: SlotDevices | None
    journal: Path
    tell: Tell
    state: Callable[[Literal["checking", "downloading", "installing"]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What the check found; `activation` only with `READY`."""

    outcome: Outcome
    floor: Floor
    available: str = ""
    manifest_sha256: str = ""
    reason: str = ""
    detail: str = ""
    support: SupportStatement | None = None
    planned_interval: int | None = None
    retry_after: float | None = None
    hold: Hold | None = None
    activation: m.Activate | None = None
    sampled: bool = True  # the vendor is told what becomes of the release

    @property
    def attempt(self) -> Attempt:
        """The activation as the updater's own record keeps it."""
        if self.activation is None:
            raise Unavailable("nothing is ready to be activated")
        return Attempt(
            version=self.activation.version,
            manifest_sha256=self.activation.manifest_sha256,
            security_counter=self.activation.security_counter,
            reported=self.sampled,
        )


class _Ended(Exception):
    def __init__(self, result: CheckResult) -> None:
        super().__init__(result.outcome.value)
        self.result = result


def run_check(check: Check) -> CheckResult:
    """Do the steps; never raises what a peer, a file or the network can cause."""
    run = _Run(check)
    try:
        return run.all_steps()
    except _Ended as end:
        return end.result
    except Rejected as error:
        return run.refused(error)
    except Unavailable as error:
        wait = error.retry_after if isinstance(error, Busy) else None
        run.tell("update-check-failed", f"{error.reason}: {error}", level="warning")
        return run.result(
            Outcome.UNAVAILABLE, reason=error.reason, detail=error.message, retry_after=wait
        )


class _Run:
    """One check under way."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._floor = check.floor
        self._offer: Offer | None = None
        self._sampled, self._begun = True, ""

    def all_steps(self) -> CheckResult:
        self._check.state("checking")
        verified = self._look()  # 1 to 3
        delta = self._choose_delta(verified)
        self._verify_transfer(verified, delta)
        way = describe_way(verified.manifest.image, delta)
        self._begun = verified.manifest_sha256
        self.tell(
            "update-begins",
            f"installing {verified.manifest.version}: {way}",
            report=ReportKind.ATTEMPT,
        )
        fetched = self._install(verified, delta)  # 4
        again = self._look()  # 5
        if again.manifest_sha256 != verified.manifest_sha256:
            message, hint = "the plan names another release now", "the next check sees to it"
            raise Unavailable(message, hint=hint, reason="plan-changed")
        self.tell(
            "update-installed",
            f"{verified.manifest.version} is written and will be tried;"
            f" {describe_bytes(fetched)} came for it",
            report=ReportKind.INSTALLED,
        )
        return self.result(Outcome.READY, activation=self._activation(verified))  # 6

    def _look(self) -> VerifiedRelease:
        check = self._check
        offer = check.repository.look(self._floor, now=self._now(), keep=self._keep)
        self._take(offer)
        if offer.manifest is None:
            raise _Ended(self.result(Outcome.NOTHING))
        facts = self._facts()
        verified = verify_release(offer.manifest, offer.plan, facts)
        built_at = verified.manifest.built_at  # signed offline
        verify_made_by(built_at, offer.ends, what="the build time of the release")
        self._keep(raise_floor(self._floor, signed_time=built_at))
        policy = replace(
            check.policy,
            consent=bool(check.consented) and check.consented == verified.manifest_sha256,
        )
        match decide_installation(verified, offer.plan, policy, facts, self._now()):
            case Install():
                return verified
            case Hold() as hold:
                raise self._held(hold)
            case Nothing():
                raise _Ended(self.result(Outcome.NOTHING))

    def _take(self, offer: Offer) -> None:
        """An attempt and its result are both told, or neither, whatever the plan says later."""
        self._offer, release = offer, offer.plan.release
        if release is None or release.manifest_sha256 != self._begun:
            self._sampled = decide_sampled(offer, self._check.facts.device_id)

    def _held(self, hold: Hold) -> _Ended:
        """Tell the hold; the end of this check."""
        # Of a release that failed here the vendor knows; "held" would hide it.
        report = None if hold.reason == FAILED_BEFORE else ReportKind.HELD
        self.tell(
            HELD_EVENT,
            f"{hold.reason}: {hold.detail}",
            report=report,
            reason=hold.reason,
            private=hold.reason in OWNER_HOLDS,
        )
        return _Ended(self.result(Outcome.HELD, reason=hold.reason, detail=hold.detail, hold=hold))

    def _choose_delta(self, verified: VerifiedRelease) -> Delta | None:
        check, metadata = self._check, self._metadata()
        if verified.manifest.image.kind == "bundle":
            return None  # the slot holds what another updater made of one, not its bytes
        return choose_delta(
            verified.manifest.deltas,
            tree_sha256=check.running_tree,
            record=load_record(check.delta_record),
            refused=lambda path: (
                is_refused(check.account.ledger, path, metadata=metadata) is not None
            ),
        )

    def _verify_transfer(self, verified: VerifiedRelease, delta: Delta | None) -> None:
        check, image = self._check, verified.manifest.image
        hold = decide_transfer(
            image,
            path=image.path if delta is None else delta.path,
            metered=check.metered,
            # Signed offline: what was confirmed to run is not to be run any more.
            urgent=verified.manifest.security_counter > self._facts().security_counter,
            consent=check.consented == verified.manifest_sha256,
            ledger=check.account.ledger,
            metadata=self._metadata(),
            room=self._room(),
            now=self._now(),
        )
        if hold is not None:
            raise self._held(hold)

    def _room(self) -> Room:
        staging = self._check.staging
        part = staging / f"{other_slot(self._check.running_slot)}.part"
        try:
            return measure_room(staging, part)
        except OSError as error:
            why = (error.strerror or "failed").lower()
            message = f"cannot measure the free disk: {why}"
            raise Unavailable(message, reason=reason_for(error)) from error

    def _metadata(self) -> str:
        """What is in force of what the vendor says about releases."""
        roles = self._floor.roles
        mine = sorted(name for name in roles if name.startswith(("releases/", "rollout/")))
        return " ".join(str(roles[name].version) for name in mine)

    def _install(self, verified: VerifiedRelease, delta: Delta | None) -> int:
        """Stage the release; how many bytes came for it."""
        check, image = self._check, verified.manifest.image
        check.state("downloading")

        def progress(done: int, total: int) -> None:
            if done == total:
                check.state("installing")

        fetching = Fetching(
            source=check.source,
            account=check.account,
            line=check.line,
            metadata=self._metadata(),
            slot=other_slot(check.running_slot),
            staging=check.staging,
            devices=check.devices,
            journal=check.journal,
            running=check.running_path,
            record=check.delta_record,
        )
        try:
            return fetching.install(image, delta, progress)
        except FileRefused as error:
            check.account.refuse(image.path, error.status, metadata=self._metadata())
            raise Rejected(FILE_REFUSED, error.message) from error
        except DaySpent as error:
            raise self._held(Hold(DAY_LIMIT, error.message)) from error

    def _activation(self, verified: VerifiedRelease) -> m.Activate:
        return m.Activate(
            slot=other_slot(self._check.running_slot),
            version=verified.manifest.version,
            manifest_sha256=verified.manifest_sha256,
            tree_sha256=verified.manifest.image.tree_sha256,
            security_counter=verified.manifest.security_counter,
            verity=verified.manifest.image.verity,
        )

    def _facts(self) -> DeviceFacts:
        """The device's facts under the newest floor."""
        known = self._check.facts
        return replace(
            known,
            withdrawn=known.withdrawn | frozenset(self._floor.withdrawn),
            security_counter=max(known.security_counter, self._floor.security_counter),
        )

    def _now(self) -> datetime:
        return max(self._check.now(), self._floor.time)

    def _keep(self, floor: Floor) -> None:
        if floor != self._floor:
            self._check.keep_floor(floor)
            self._floor = floor

    def refused(self, error: Rejected) -> CheckResult:
        """The release or its metadata is bad: log, report, status; nothing else changed."""
        self.tell(
            "update-refused",
            f"{error.reason}: {error.message}",
            level="warning",
            report=ReportKind.REFUSED,
            reason=error.reason,
        )
        return self.result(Outcome.REFUSED, reason=error.reason, detail=error.message)

    def tell(
        self,
        event: str,
        detail: str,
        *,
        level: Level = "info",
        report: ReportKind | None = None,
        reason: str = "",
        private: bool = False,
    ) -> None:
        """Tell the log, and the vendor where there is a report."""
        planned = self._offer.plan.release if self._offer is not None else None
        self._check.tell(
            Happening(
                event=event,
                detail=detail,
                level=level,
                report=report,
                version=planned.version if planned else None,
                manifest_sha256=planned.manifest_sha256 if planned else None,
                reason=reason,
                private=private,
                sampled=self._sampled,
            )
        )

    def result(
        self,
        outcome: Outcome,
        *,
        reason: str = "",
        detail: str = "",
        retry_after: float | None = None,
        hold: Hold | None = None,
        activation: m.Activate | None = None,
    ) -> CheckResult:
        """The result with what is known so far."""
        offer = self._offer
        planned = offer.plan.release if offer is not None else None
        waits = outcome in (Outcome.HELD, Outcome.READY, Outcome.REFUSED)
        return CheckResult(
            outcome=outcome,
            floor=self._floor,
            available=planned.version if planned is not None and waits else "",
            manifest_sha256=planned.manifest_sha256 if planned is not None else "",
            reason=reason,
            detail=detail,
            support=offer.support if offer is not None else None,
            planned_interval=offer.plan.check_interval_seconds if offer is not None else None,
            retry_after=retry_after,
            hold=hold,
            activation=activation,
            sampled=self._sampled,
        )
