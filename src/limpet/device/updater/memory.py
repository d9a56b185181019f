"""What the updater keeps between checks and starts: floor, progress, the owner's policy.

Owns when each record is made durable: before anything acts on what it says. A damaged record
is a warning and its safe reading, never the end of updates. Decides nothing about releases.
"""

from collections.abc import Callable
from datetime import datetime

import msgspec

from limpet.device.link import messages as m
from limpet.device.updater.check import CheckResult, Outcome
from limpet.device.updater.device import Device, Places
from limpet.device.updater.floor import Floor, SeenRole, load_floor, raise_floor, save_floor
from limpet.device.updater.policy import (
    Postponement,
    decide_postponement,
    default_policy,
    keep_password,
    load_policy,
    load_postponement,
    owner_policy,
    save_policy,
    save_postponement,
    verify_product_bounds,
)
from limpet.device.updater.progress import (
    MAX_REPORTED,
    Attempt,
    Progress,
    Settled,
    Waiting,
    after_check,
    begin_attempt,
    load_progress,
    save_progress,
    settle,
)
from limpet.device.updater.support import is_newer, load_support, save_support
from limpet.errors import Rejected, Unavailable
from limpet.firmware.decision import OWNER_HOLDS, OwnerPolicy
from limpet.wire.support import SupportStatement

__all__ = ["Memory"]


class Memory:
    """The records of one device. `load` first; read `floor`, `progress`, `policy`, `boot`."""

    def __init__(self, device: Device) -> None:
        self._places = device.places
        self._update = device.product.update
        self._built_at = device.description.built_at
        self._first = {
            name: SeenRole(seen.version, seen.keys) for name, seen in device.identity.seen.items()
        }
        self.floor, self.progress = Floor(time=self._built_at), Progress()
        self.policy = default_policy(self._update)
        self.postponement: Postponement | None = None
        self.support: SupportStatement | None = None
        self.boot = m.BootRecord(
            running=device.slot,
            on_trial=False,
            version=device.description.version,
            security_counter=device.description.security_counter,
        )

    def load(self, boot: m.BootRecord, *, warn: Callable[[str, str], None]) -> None:
        """What was kept, under what boot knows. `warn(event, detail)` for what is damaged."""
        self.boot = boot
        self.progress, warning = load_progress(self._places.progress)
        warn("progress-damaged", warning)
        self.support, warning = load_support(self._places.support)
        warn("support-damaged", warning)
        self.floor, warning = load_floor(
            self._places.floor,
            built_at=self._built_at,
            security_counter=boot.security_counter,
            has_looked=_has_looked(self._places, self.progress),
            first=self._first,
        )
        warn("floor-damaged", warning)
        try:
            self.policy = load_policy(self._places.policy, default=self.policy)
        except Rejected as error:
            warn("policy-damaged", f"{error.message}; the product's own policy holds")
        try:
            self.postponement = load_postponement(self._places.postponed)
        except (Rejected, Unavailable) as error:
            warn("policy-damaged", f"{error.message}; nothing is postponed")

    def set_policy(self, policy: m.UpdatePolicy) -> None:
        """Keep another policy, durable on return.

        Raises as `verify_product_bounds` and `save_policy`.
        """
        verify_product_bounds(policy, self._update)
        kept = keep_password(policy, self.policy)
        save_policy(self._places.policy, kept)
        self.policy = kept

    def postpone(self, days: int, *, now: datetime) -> None:
        """Hold updates back for `days`, durable on return. Raises as `decide_postponement`."""
        wanted = decide_postponement(
            days, update=self._update, waiting_since=self.progress.waiting_since, now=now
        )
        save_postponement(self._places.postponed, wanted)
        self.postponement = wanted

    def owner_policy(self) -> OwnerPolicy:
        """The owner's choice as the decision about a release takes it."""
        return owner_policy(
            self.policy,
            update=self._update,
            postponement=self.postponement,
            waiting_since=self.progress.waiting_since,
        )

    def keep_floor(self, floor: Floor) -> None:
        """Make a floor durable; the engine takes it over with the check's result."""
        save_floor(self._places.floor, floor)

    def keep(self, progress: Progress) -> None:
        """Take over another progress, durable on return. Raises `Unavailable`."""
        save_progress(self._places.progress, progress)
        self.progress = progress

    def keep_support(self, statement: SupportStatement | None) -> None:
        """Take over a newer statement, durable on return. Raises `Unavailable`."""
        if statement in (None, self.support) or not is_newer(statement, self.support):
            return
        save_support(self._places.support, statement)
        self.support = statement

    def was_told(self, key: str) -> bool:
        """Whether the vendor was told of this hold or refusal."""
        return key in self.progress.reported

    def remember(self, key: str) -> None:
        """That the vendor was told."""
        reported = (*self.progress.reported, key)[-MAX_REPORTED:]
        self.keep(msgspec.structs.replace(self.progress, reported=reported))

    def note_check(self, result: CheckResult, at: datetime) -> None:
        """That a check ended, and how."""
        hold, waiting = result.hold, None
        if hold is not None:
            waiting = Waiting(
                version=result.available,
                manifest_sha256=result.manifest_sha256,
                reason=hold.reason,
                since=at,
            )
        self.keep(
            after_check(
                self.progress,
                at,
                waiting=waiting,
                by_owner=hold is not None and hold.reason in OWNER_HOLDS,
                nothing=result.outcome is Outcome.NOTHING,
            )
        )

    def begin(self, attempt: Attempt) -> None:
        """Remember an attempt before it is asked for."""
        self.keep(begin_attempt(self.progress, attempt))

    def drop_attempt(self) -> None:
        """Forget an attempt that was refused."""
        self.keep(msgspec.structs.replace(self.progress, attempt=None))

    def settle(self, tell: Callable[[Settled], None]) -> None:
        """Settle what was under way before this start, once boot's record says how it ended."""
        after, settled = settle(self.progress, self.boot)
        if settled is not None:
            tell(settled)
            if settled.confirmed:
                counter = settled.attempt.security_counter
                self.floor = raise_floor(self.floor, security_counter=counter)
                save_floor(self._places.floor, self.floor)
        if after != self.progress:
            self.keep(after)  # after the report is queued: a cut repeats it, never loses it


def _has_looked(places: Places, progress: Progress) -> bool:
    """Whether a floor must have been kept: a plan was verified, or a release was tried."""
    tried = progress.attempt is not None or progress.confirmed is not None or progress.failed
    try:
        return bool(tried) or any(places.targets.iterdir())
    except OSError:
        return False
