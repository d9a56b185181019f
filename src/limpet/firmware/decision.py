"""Whether this device may install a release, and whether it does so now.

Owns the rules, numbered, and nothing that acts on them. `verify_release` is the
only maker of a `VerifiedRelease`; everything that downloads or installs takes that
type. No clock, socket or file: the facts are given.

What the caller still owes: that `manifest` came as the TUF target of
`releases/<model>` and the plan as that of `rollout/<model>` (both signatures), that
`now` is not before the device's time floor, and that the image's groups and tree
are compared with the manifest while they are written.

    verify_release                     decide_installation
    1 the manifest is well formed       9 something is offered
    2 it is the one that the plan names 10 it is not what runs already
    3 for this model                   11 nobody holds the rollout
    4 for this hardware revision       12 this device's turn has come (plan)
    5 not withdrawn                    13 and is not too early (offline ramp)
    6 not behind this device           14 it did not fail here before
    7 this device is not too old       15 it keeps the interface, or the owner agrees
    8 the plan keeps the bounds        16 the owner has not switched updates off
                                       17 nor holds them back, within the product's bound
                                       18 and the owner's window is open

Whether its file may also be fetched now, `limpet.device.updater.holding` decides (rules 19 to 22).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from limpet.crypto.suites import SuiteId
from limpet.errors import Rejected
from limpet.firmware.interface import (
    compare_interfaces,
    describe_changes,
    read_interface,
    unpack_interface,
)
from limpet.wire.codec import decode_json
from limpet.wire.release import (
    FIRST_SUITE,
    MANIFEST_BYTES,
    ReleaseManifest,
    ahead_tag,
    version_key,
)
from limpet.wire.rollout import (
    Plan,
    PlannedRelease,
    PlanState,
    earliest_installation,
    is_admitted,
    position,
)

__all__ = [
    "FAILED_BEFORE",
    "INTERFACE_CHANGE",
    "OWNER_HOLDS",
    "VENDOR_HOLDS",
    "DeviceFacts",
    "Hold",
    "Install",
    "Nothing",
    "Opening",
    "OwnerPolicy",
    "VerifiedRelease",
    "decide_installation",
    "verify_release",
]

FAILED_BEFORE = "failed-before"
"""Why a release is held that fell back on this device."""

OWNER_HOLDS = frozenset({"automatic-off", "needs-consent", "postponed", "outside-window"})
"""Why a release is held when only its owner's choice stands in the way."""

VENDOR_HOLDS = frozenset({"phase-in", "ramp", "paused", "halted"})
"""Why a release is held by the vendor's brakes, which no word of the owner overrules."""

INTERFACE_CHANGE = "interface-change"
"""Why a release is held that changes what the owner's programs and people are used to."""

_PERCENT = 10_000  # parts per million in one percent


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What the device knows of itself, from sources that no server can write."""

    model: str
    hardware_revision: str
    device_id: str  # the serial number of its IDevID
    version: str  # that runs
    manifest_sha256: str  # of the release that runs, empty for the factory's
    interface_version: int
    security_counter: int  # the highest that was ever confirmed
    suite: SuiteId = FIRST_SUITE  # of algorithms, that is in force
    withdrawn: frozenset[str] = field(default_factory=frozenset)  # manifests, remembered
    failed: frozenset[str] = field(default_factory=frozenset)  # manifests that fell back here
    interface: bytes = b""  # OpenAPI document of the firmware that runs; empty: not described


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A window's next opening (UTC), and how a person reads its begin."""

    opens: datetime
    closes: datetime
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerPolicy:
    """The owner's choice, as far as it decides.

    `in_window(now)` says whether an installation may begin, `opening(now)` when it may next, if
    it may not; `window_text` is how a person reads the window. `consent` is the owner's word for
    this release, once. `ask` wants that word for each release, and `postponed_until` holds all
    back; both hold for `hold_days` at most (`security_hold_days` for a release that raises the
    security counter), counted from `waiting_since`, when first only the owner stood in the way.
    """

    automatic: bool
    in_window: Callable[[datetime], bool]
    window_text: str
    opening: Callable[[datetime], Opening | None] = lambda _: None
    consent: bool = False
    ask: bool = False
    postponed_until: datetime | None = None
    waiting_since: datetime | None = None
    hold_days: int = 0
    security_hold_days: int = 0


@dataclass(frozen=True, slots=True)
class VerifiedRelease:
    """A release that may run on this device. Only `verify_release` makes one."""

    manifest: ReleaseManifest
    manifest_sha256: str


@dataclass(frozen=True, slots=True)
class Install:
    """Install it now."""

    release: VerifiedRelease


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now: `reason` is a stable word, `detail` is for the owner.

    `until` (UTC) is when this reason ends by itself, if that is known; `ends` is when that ends
    again what it opens (a window).
    """

    reason: str
    detail: str
    until: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing is offered that does not run already."""


def verify_release(manifest: bytes, plan: Plan, facts: DeviceFacts) -> VerifiedRelease:
    """The release in `manifest` if this device may ever run it under `plan` (rules 1 to 8).

    Raises `Rejected` with `malformed`, `too-large`, `unsigned-release`, `wrong-model`,
    `wrong-hardware`, `withdrawn`, `rollback`, `minimum-version` or `out-of-bounds`.
    """
    # 1
    found = decode_json(manifest, ReleaseManifest, max_bytes=MANIFEST_BYTES)
    if found.built_at.tzinfo is None or found.bounds.not_before.tzinfo is None:
        raise Rejected("malformed", "a time in the manifest has no time zone")
    # 2
    digest = hashlib.sha256(manifest).hexdigest()
    planned = _planned(plan)
    if digest != planned.manifest_sha256 or found.version != planned.version:
        raise Rejected("unsigned-release", f"the plan names another release as {planned.version}")
    # 3
    if found.model != facts.model or plan.model != facts.model:
        raise Rejected("wrong-model", f"made for {found.model}, this is a {facts.model}")
    # 4
    if facts.hardware_revision not in found.hardware_revisions:
        made_for = ", ".join(found.hardware_revisions) or "none"
        raise Rejected(
            "wrong-hardware",
            f"made for hardware {made_for[:200]}, this is {facts.hardware_revision}",
        )
    # 5
    if digest in facts.withdrawn or digest in plan.withdrawn or plan.state is PlanState.WITHDRAWN:
        raise Rejected("withdrawn", f"{found.version} was withdrawn")
    # 6
    _verify_forward(found, digest, facts)
    # 7
    if version_key(facts.version) < version_key(found.minimum_version):
        raise Rejected(
            "minimum-version",
            f"{found.version} can be installed from {found.minimum_version} on,"
            f" this device runs {facts.version}",
        )
    # 8
    step = plan.admitted_ppm - plan.previous_ppm
    if step > found.bounds.largest_step_ppm:
        raise Rejected(
            "out-of-bounds",
            f"the plan's step of {_percent(step)} is over the signed bound of"
            f" {_percent(found.bounds.largest_step_ppm)}",
        )
    return VerifiedRelease(found, digest)


def decide_installation(
    verified: VerifiedRelease, plan: Plan, policy: OwnerPolicy, facts: DeviceFacts, now: datetime
) -> Install | Hold | Nothing:
    """Whether to install `verified` at `now` (UTC) (rules 9 to 18)."""
    manifest, digest = verified.manifest, verified.manifest_sha256
    # 9, 10
    if plan.state is PlanState.IDLE or plan.release is None or manifest.version == facts.version:
        return Nothing()
    # 11
    if plan.state is not PlanState.RUNNING:
        word = "paused" if plan.state is PlanState.PAUSED else "halted"
        return Hold(word, f"the vendor has {word} the rollout of {manifest.version}")
    # 12
    place = position(digest, facts.device_id)
    if not is_admitted(plan, facts.device_id):
        return Hold(
            "phase-in", f"position {_percent(place)}, admitted {_percent(plan.admitted_ppm)}"
        )
    # 13: whom a plan names is admitted first, but only the offline keys let a device go ahead of
    # its place: whoever holds the online key could name them all. Everybody waits for `not_before`.
    is_ahead = ahead_tag(manifest.version, facts.device_id) in manifest.bounds.ahead
    earliest = earliest_installation(manifest.bounds, 0 if is_ahead else place)
    if now < earliest:
        return Hold("ramp", f"not before {_time(earliest)}", until=earliest)
    # 14
    if digest in facts.failed and not policy.consent:
        return Hold(FAILED_BEFORE, f"{manifest.version} failed its health check on this device")
    # 15: a feature release that changes the interface is never installed automatically.
    if not policy.consent and (hold := _interface_hold(manifest, facts)) is not None:
        return hold
    held = None if policy.consent else _decide_owner(verified.manifest, policy, facts, now)
    return held or Install(verified)


def _decide_owner(
    manifest: ReleaseManifest, policy: OwnerPolicy, facts: DeviceFacts, now: datetime
) -> Hold | None:
    """Whether the owner's choice holds a release that everybody else admits (rules 16 to 18)."""
    # 16
    if not policy.automatic:
        return Hold("automatic-off", "automatic updates are switched off")
    # 17
    security = manifest.security_counter > facts.security_counter
    days = policy.security_hold_days if security else policy.hold_days
    limit = (policy.waiting_since or now) + timedelta(days=days)
    if now < limit:
        if policy.ask:
            detail = f"without it, {manifest.version} is installed after {_time(limit)}"
            return Hold("needs-consent", detail, until=limit)
        if policy.postponed_until is not None and now < policy.postponed_until:
            until = min(policy.postponed_until, limit)
            return Hold("postponed", f"by you until {_time(until)}", until=until)
    # 18
    if policy.in_window(now):
        return None
    opening = policy.opening(now)
    if opening is None:
        return Hold("outside-window", f"installed {policy.window_text}")
    detail = f"until {opening.text}, installed {policy.window_text}"
    return Hold("outside-window", detail, until=opening.opens, ends=opening.closes)


def _interface_hold(manifest: ReleaseManifest, facts: DeviceFacts) -> Hold | None:
    """The release's own word that it changes the interface, or what its signed description shows.

    A description that cannot be compared counts as a change: nobody knows what it breaks.
    """
    broken = ""
    if facts.interface and manifest.interface:
        try:
            old = read_interface(facts.interface)
            new = read_interface(unpack_interface(manifest.interface))
            broken = describe_changes(compare_interfaces(old, new))
        except Rejected as error:
            broken = error.message
    if manifest.interface_version == facts.interface_version and not broken:
        return None
    said = broken or f"{manifest.version} changes how the device is used"
    return Hold(INTERFACE_CHANGE, f"needs your consent, changes the interface: {said}")


def _planned(plan: Plan) -> PlannedRelease:
    if plan.release is None:
        raise Rejected("malformed", "the plan names no release")
    return plan.release


def _verify_forward(found: ReleaseManifest, digest: str, facts: DeviceFacts) -> None:
    if found.security_counter < facts.security_counter:
        raise Rejected(
            "rollback",
            f"{found.version} has security counter {found.security_counter},"
            f" this device is at {facts.security_counter}",
        )
    if version_key(found.version) < version_key(facts.version):
        raise Rejected("rollback", f"{found.version} is older than {facts.version} that runs")
    if found.suite.version < facts.suite.version:
        raise Rejected(
            "rollback",
            f"{found.version} carries suite {found.suite}, older than {facts.suite} in force:"
            " what that one retired would come back",
        )
    same = version_key(found.version) == version_key(facts.version)
    if same and facts.manifest_sha256 and digest != facts.manifest_sha256:
        raise Rejected("rollback", f"another release calls itself {found.version} too")


def _percent(parts_per_million: int) -> str:
    whole, rest = divmod(parts_per_million, _PERCENT)
    return f"{whole}.{rest // 100:02d} %".replace(".00 %", " %")


def _time(at: datetime) -> str:
    rounded = at + timedelta(seconds=1) - timedelta(microseconds=at.microsecond)
    return f"{rounded:%Y-%m-%d %H:%M:%S} UTC"
