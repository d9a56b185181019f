"""When a device may install a release at the earliest, by what the offline keys signed.

Pure. A plan can name a ring, but it cannot let a ring go ahead of its place in the ramp
(docs/adr/0110): a rollout that would wait for one for days does not begin.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from limpet.errors import Rejected
from limpet.vendor.repository import PublishedRelease
from limpet.vendor.store import Ring
from limpet.wire.release import ahead_tag
from limpet.wire.rollout import earliest_installation, position

__all__ = ["first_turn", "verify_rings_start"]


def first_turn(release: PublishedRelease, serial: str) -> datetime:
    """UTC: the moment before which this device holds the release, whatever any plan says."""
    manifest = release.manifest
    is_ahead = ahead_tag(manifest.version, serial) in manifest.bounds.ahead
    place = 0 if is_ahead else position(release.manifest_sha256, serial)
    return earliest_installation(manifest.bounds, place)


def verify_rings_start(
    rings: Sequence[Ring], release: PublishedRelease, *, now: datetime, patience: timedelta
) -> None:
    """That somebody in each ring may install within `patience` of the release's own start.

    Raises `Rejected("out-of-bounds")`.
    """
    soon = max(now, release.manifest.bounds.not_before) + patience
    for ring in rings:
        first = min(first_turn(release, serial) for serial in ring.serials)
        if first > soon:
            raise Rejected(
                "out-of-bounds",
                f"nobody in ring {ring.name} may install {release.manifest.version} before "
                f"{first:%Y-%m-%d %H:%M} UTC: so the release was signed",
                hint=f"build it with --ahead {ring.serials[0]}",
            )
