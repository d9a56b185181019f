"""The rollout plan, and a device's place in it.

Signed online by `rollout/<model>`. A plan names a release by the hash of its
manifest and publishes the share of the fleet that is admitted now; it can never
make a device install what `releases/<model>` did not sign, nor faster than the
manifest's bounds. It carries no start time, because a device may have no clock.
"""

import enum
import hashlib
from datetime import datetime, timedelta
from typing import Annotated, Literal

from msgspec import Meta

from limpet.wire.codec import Message, Moment
from limpet.wire.release import (
    Bounds,
    Digest,
    ModelName,
    PartsPerMillion,
    ReleaseManifest,
    Version,
    ahead_tag,
)

__all__ = [
    "MAX_NAMED",
    "PLAN_BYTES",
    "WHOLE_PPM",
    "Plan",
    "PlanState",
    "PlannedRelease",
    "device_tag",
    "earliest_installation",
    "is_admitted",
    "is_named",
    "is_reporting",
    "is_sampled",
    "plan_path",
    "plan_pattern",
    "position",
]

PLAN_BYTES = 64 << 10
WHOLE_PPM = 1_000_000
MAX_NAMED = 256
MAX_WITHDRAWN = 256


class PlanState(enum.Enum):
    """What the online operator says of the rollout as a whole."""

    IDLE = "idle"  # nothing is offered
    RUNNING = "running"
    PAUSED = "paused"  # an operator holds it
    HALTED = "halted"  # the health test stopped it
    WITHDRAWN = "withdrawn"  # the release is refused from now on


Tag = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
"""A device in the rings of one release, see `device_tag`."""


class PlannedRelease(Message, frozen=True, kw_only=True):
    """A release, named by content."""

    version: Version
    manifest_sha256: Digest


class Plan(Message, frozen=True, kw_only=True):
    """What one model's devices are offered now; TUF target `rollout/<model>/plan.json`."""

    spec: Literal["limpet-plan-1"] = "limpet-plan-1"
    model: ModelName
    state: PlanState
    release: PlannedRelease | None = None
    admitted_ppm: PartsPerMillion = 0
    previous_ppm: PartsPerMillion = 0  # before the last step, for the bound on one step
    named: Annotated[tuple[Tag, ...], Meta(max_length=MAX_NAMED)] = ()  # devices of the rings
    withdrawn: Annotated[tuple[Digest, ...], Meta(max_length=MAX_WITHDRAWN)] = ()
    check_interval_seconds: Annotated[int, Meta(ge=1, le=7 * 86400)] | None = None
    report_ppm: PartsPerMillion = 0  # share that reports; never less than the release's bounds say
    issued_at: Moment  # UTC


def plan_pattern(model: str) -> str:
    """The TUF target paths that belong to whoever phases firmware of a model in."""
    return f"rollout/{model}/*"


def plan_path(model: str) -> str:
    """The TUF target path of a model's plan."""
    return f"rollout/{model}/plan.json"


def position(manifest_sha256: str, device_id: str) -> int:
    """The device's place in the queue for one release, 0 to 999,999.

    Uniform over devices, and independent between releases, so that no device
    is always first.
    """
    digest = hashlib.sha256(f"limpet-phase-in-1\0{manifest_sha256}\0{device_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") * WHOLE_PPM >> 64


def device_tag(manifest_sha256: str, device_id: str) -> str:
    """How a plan names a device that goes first with one release.

    A plan is public: it names no serial number, and nobody can follow a device from one release to
    the next. Whoever can guess serial numbers can test them; it is no secret, only no list.
    """
    text = f"limpet-ring-1\0{manifest_sha256}\0{device_id}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_named(plan: Plan, device_id: str) -> bool:
    """Whether the device is in a ring that the plan admits, whatever the plan's state."""
    if plan.release is None or not plan.named:
        return False
    return device_tag(plan.release.manifest_sha256, device_id) in plan.named


def is_admitted(plan: Plan, device_id: str) -> bool:
    """Whether the plan lets this device install the planned release now."""
    if plan.release is None or plan.state is not PlanState.RUNNING:
        return False
    if position(plan.release.manifest_sha256, device_id) < plan.admitted_ppm:
        return True
    return is_named(plan, device_id)


def is_sampled(manifest_sha256: str, device_id: str, rate_ppm: int) -> bool:
    """Whether the device is among the share of the fleet that reports on one release.

    A hash, as `position` is, and independent of it: each step of a rollout is sampled alike, and no
    device is always asked. Whoever is in a smaller sample of a release is in every larger one.
    """
    text = f"limpet-sample-1\0{manifest_sha256}\0{device_id}"
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") * WHOLE_PPM >> 64 < rate_ppm


def is_reporting(manifest: ReleaseManifest, plan: Plan, device_id: str) -> bool:
    """Whether the device tells its vendor of the planned release at all.

    The offline keys sign the least share and devices that always do (those that may go ahead); a
    plan can only make it more: a larger share, and rings. Raises nothing; without a release, yes.
    """
    if plan.release is None:
        return True
    if is_named(plan, device_id) or ahead_tag(manifest.version, device_id) in manifest.bounds.ahead:
        return True
    rate = max(manifest.bounds.report_ppm, plan.report_ppm)
    return is_sampled(plan.release.manifest_sha256, device_id, rate)


def earliest_installation(bounds: Bounds, place: int) -> datetime:
    """When a device at `place` (0 to 999,999) may install at the earliest.

    The offline ramp: a stolen online key that admits everybody at once still
    reaches the fleet no faster than this.
    """
    # A millionth of a second for each second and each millionth of the fleet.
    return bounds.not_before + timedelta(microseconds=bounds.minimum_duration_seconds * place)
