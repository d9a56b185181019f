"""Firmware 1.1.0 is phased in; the fleet is shown while it updates by itself."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from limpet.demo.scenes.developing import NEW, begin_faulty
from limpet.demo.scenes.releasing import publish
from limpet.demo.stage import Missed
from limpet.demo.story import Scene, Teller
from limpet.demo.view import DeviceRow, FleetView
from limpet.demo.world import Device, World, now
from limpet.vendor.rollout import RolloutStatus

__all__ = ["PHASE_IN", "PHASE_IN_SECONDS", "owner", "watch"]

PHASE_IN_SECONDS = 150.0
LOOK_SECONDS = 0.3

Seen = Callable[[Sequence[DeviceRow], RolloutStatus], bool]


def watch(world: World, title: str, until: Seen, *, seconds: float) -> RolloutStatus:
    """Show the fleet until `until` is true of it and of the rollout; `Missed` after `seconds`."""
    deadline = time.monotonic() + seconds
    with FleetView(world.console, title) as view:
        while True:
            rows, status = world.fleet(), world.rollout()
            view.show(rows, _words(status))
            if until(rows, status):
                return status
            if time.monotonic() > deadline:
                raise Missed(f"{title}: still not so after {seconds:.0f} s")
            time.sleep(LOOK_SECONDS)


def _words(status: RolloutStatus) -> str:
    state = "complete" if status.complete else status.state.value
    canaries = f", {len(status.canaries)} canary" if status.canaries else ""
    return f"{state}, admitted {status.admitted_ppm / 10_000:.0f} %{canaries}"


def _phase_in(world: World, tell: Teller) -> None:
    canary, held = world.devices[0], world.late
    publish(world, NEW, tell)
    begin_faulty(world)
    owner(world, held, "policy", "--window", _window_elsewhen(), "--zone", "UTC")
    world.stage.limpet(
        "rollout", "start", NEW, "--vendor", world.vendor, "--canary", canary.serial,
        "--steps", "50,100", "--wait", "1", "--silent-after", "30",
    )  # fmt: skip
    order: list[str] = []

    def others_begun(rows: Sequence[DeviceRow], status: RolloutStatus) -> bool:
        order.extend(r.serial for r in rows if r.version == NEW and r.serial not in order)
        waiting = next(row for row in rows if row.serial == held.serial)
        return bool(order) and waiting.reason == "outside-window"

    watch(world, f"rollout of {NEW}", others_begun, seconds=PHASE_IN_SECONDS)
    if order[0] != canary.serial:
        raise Missed(f"the order was {order}, but {canary.serial} is the canary")
    tell("the canary went first and proved its health; then half of the others were admitted")
    shown = owner(world, held, "show")
    if "outside-window" not in shown["reason"] or shown["running"] == NEW:
        raise Missed(f"the late device gives this reason: {shown['reason']!r}")
    tell(f"one owner reads why the device waits: {shown['reason']}")


def owner(world: World, device: Device, *words: str) -> dict[str, str]:
    """A command of the owner's about updates."""
    answer: dict[str, str] = world.stage.limpet(
        "owner", "update", *words, "-d", device.serial, "--store", world.owner
    )
    return answer


def _window_elsewhen() -> str:
    """An hour of the day, in UTC, that is half a day away."""
    begin = now() + timedelta(hours=11)
    return f"{begin:%H:%M}-{begin + timedelta(hours=1):%H:%M}"


PHASE_IN = Scene(f"Firmware {NEW} is phased in: canary, then more; owners decide when", _phase_in)
