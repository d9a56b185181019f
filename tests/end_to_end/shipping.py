"""A release as the release manager makes it: built, signed, published, offered to all."""

from datetime import UTC, datetime
from pathlib import Path

from limpet.release import (
    BuildOrder,
    SigningOrder,
    build_release,
    default_keys,
    publish,
    sign_release,
)
from limpet.vendor.home import Home
from limpet.vendor.repository import Repository
from limpet.wire.release import Bounds
from limpet.wire.rollout import Plan, PlannedRelease, PlanState

__all__ = ["make_order", "ship"]


def make_order(home: Home, product: Path, version: str, *, at: datetime) -> BuildOrder:
    """A release that every device may take at once."""
    return BuildOrder(
        product=product,
        trust=home.trust,
        version=version,
        security_counter=1,
        interface_version=1,
        bounds=Bounds(not_before=at, minimum_duration_seconds=0, largest_step_ppm=1_000_000),
        built_at=at,
    )


def ship(home: Home, order: BuildOrder) -> None:
    """Build it beside the vendor's directory, and plan it for the whole fleet."""

    def now() -> datetime:
        return datetime.now(UTC)

    out = home.root.parent / f"release-{order.version}"
    built = build_release(order, out)
    keys, root = tuple(default_keys(home.offline, home.model)), home.trust / "root.json"
    signing = SigningOrder(repository=home.repository, root=root, keys=keys)
    sign_release(out, signing, now=now())
    publish(out, home.root, clock=now)
    release = PlannedRelease(version=order.version, manifest_sha256=built.manifest_sha256)
    Repository(home, now).publish_plan(
        Plan(
            model=home.model,
            state=PlanState.RUNNING,
            release=release,
            admitted_ppm=1_000_000,
            issued_at=now(),
        )
    )
