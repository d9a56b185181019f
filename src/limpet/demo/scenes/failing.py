"""A release with a real bug: devices fall back by themselves, the rollout halts by itself."""

import functools
from collections.abc import Sequence

from limpet.demo.scenes.developing import BAD, NEW
from limpet.demo.scenes.updating import watch
from limpet.demo.stage import Missed, wait_for
from limpet.demo.story import Scene, Teller
from limpet.demo.view import DeviceRow
from limpet.demo.world import Device, World
from limpet.vendor.rollout import RolloutStatus
from limpet.wire.rollout import PlanState

__all__ = ["FAILING"]

HALT_SECONDS = 150.0
BACK_SECONDS = 60.0
CANARIES = 2  # the first that fails halts the rollout; the second may be spared by that
_UNDER_WAY = {"attempt", "installed"}


def _fail(world: World, tell: Teller) -> None:
    tell(f"in {BAD} a developer mistook the sensor's unit; tests and gate saw nothing wrong")
    canaries = world.devices[:CANARIES]
    words = [word for device in canaries for word in ("--canary", device.serial)]
    world.stage.limpet(
        "rollout", "start", BAD, "--vendor", world.vendor, *words,
        "--steps", "50,100", "--wait", "1", "--silent-after", "30",
    )  # fmt: skip

    def fallen() -> list[Device]:
        return [device for device in canaries if world.log(device, "update-fell-back")]

    def halted(rows: Sequence[DeviceRow], status: RolloutStatus) -> bool:
        settled = not any(row.state in _UNDER_WAY or row.version != NEW for row in rows)
        return status.state is PlanState.HALTED and settled and bool(fallen())

    status = watch(world, f"rollout of {BAD}", halted, seconds=HALT_SECONDS)
    first, count = fallen()[0], len(fallen())
    tell(f"{count} of {CANARIES} canaries tried it, failed the health check, fell back to {NEW}")
    tell(f"the device's log: {world.log(first, 'update-fell-back')[-1]['detail']}")
    tell(f"the rollout halted by itself: {status.detail or status.waiting_for}")
    for row in world.fleet():
        if row.version != NEW:
            raise Missed(f"{row.serial} runs {row.version}")
    for device in canaries:
        wait_for(
            f"{device.serial} to serve again",
            functools.partial(_reads, world, device),
            seconds=BACK_SECONDS,
        )
    tell(f"all {world.count} devices run {NEW}, and the thermostat answers")


def _reads(world: World, device: Device) -> float | None:
    from limpet.errors import LimpetError

    try:
        with world.client(device) as client:
            return float(client.request("GET", "/v1/functions/temperature"))
    except LimpetError:
        return None


FAILING = Scene(f"Firmware {BAD} is faulty: devices fall back, the rollout halts itself", _fail)
