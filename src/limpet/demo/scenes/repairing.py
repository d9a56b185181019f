"""The mended firmware follows the halted one, and travels as a delta."""

from limpet.demo.scenes.developing import MENDED, NEW
from limpet.demo.scenes.owning import start_device
from limpet.demo.scenes.releasing import publish
from limpet.demo.scenes.updating import watch
from limpet.demo.stage import Missed
from limpet.demo.story import Scene, Teller
from limpet.demo.world import World

__all__ = ["REPAIRING"]

REPAIR_SECONDS = 150.0


def _repair(world: World, tell: Teller) -> None:
    if world.spare is not None:  # it brings itself up to date meanwhile, for the audit
        start_device(world, world.spare)
    out = publish(world, MENDED, tell)
    shown = world.stage.limpet("release", "show", out)
    [delta] = shown["deltas"]
    tell(f"the unit is right again; the build makes a delta from {NEW}: {delta['size']:,} bytes")
    world.stage.limpet(
        "rollout", "start", MENDED, "--vendor", world.vendor,
        "--steps", "60,100", "--wait", "1", "--silent-after", "30",
    )  # fmt: skip
    watch(
        world,
        f"rollout of {MENDED}",
        lambda rows, status: all(row.version == MENDED for row in rows) and status.complete,
        seconds=REPAIR_SECONDS,
    )
    for device in world.devices:
        ways = [line["detail"] for line in world.log(device, "update-begins")]
        if not ways or f"delta from {NEW}" not in ways[-1]:
            raise Missed(f"{device.serial} took it another way: {ways[-1:]}")
    tell(f"a device's log: {ways[-1]}")
    tell(f"all {world.count} devices run {MENDED}; each verified every byte of the whole image")


REPAIRING = Scene(f"Firmware {MENDED} mends it, and travels as a delta", _repair)
