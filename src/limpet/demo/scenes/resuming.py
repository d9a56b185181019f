"""The late device's line breaks in the middle of its image; it asks for the rest only."""

from limpet.demo.scenes.developing import NEW
from limpet.demo.scenes.updating import PHASE_IN_SECONDS, owner, watch
from limpet.demo.stage import Missed, wait_for
from limpet.demo.story import Scene, Teller
from limpet.demo.world import World
from limpet.wire.codec import decode_json
from limpet.wire.release import MANIFEST_BYTES, ReleaseManifest

__all__ = ["RESUMING"]

CUT_SECONDS = 60.0
_LOST_BYTES = 16 << 10
"""A part of a TLS record that came before the line broke."""


def _resume(world: World, tell: Teller) -> None:
    device, line = world.late, world.line
    if line is None:
        raise Missed("no device has a line that can break")
    data = (world.releases[NEW] / "manifest.json").read_bytes()
    image = decode_json(data, ReleaseManifest, max_bytes=MANIFEST_BYTES).image
    line.break_after(image.packed // 2)
    owner(world, device, "policy", "--window", "always")
    owner(world, device, "check")
    cut = wait_for(
        "the line to break",
        lambda: next(iter(world.log(device, "transfer-cut")), None),
        seconds=CUT_SECONDS,
    )
    tell(f"its line breaks in mid-image: {cut['detail']}")
    watch(
        world,
        f"rollout of {NEW}",
        lambda rows, status: all(row.version == NEW for row in rows) and status.complete,
        seconds=PHASE_IN_SECONDS,
    )
    done = world.log(device, "transfer-done")[-1]["detail"]
    if int(done.split()[0]) > image.packed + _LOST_BYTES:
        raise Missed(f"{done}, though the line had brought the beginning before")
    saved = int(cut["detail"].split()[2])  # "at byte N of …"
    tell(f"it asked for the rest only: {done}; {saved:,} bytes were not sent again")
    tell(f"all {world.count} devices run {NEW}, each has checked its own health")


RESUMING = Scene("The line breaks in mid-image: the late device goes on where it was", _resume)
