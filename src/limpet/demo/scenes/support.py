"""The support period ends, as signed; the owner is told; the vendor extends it."""

import json
from datetime import datetime, timedelta
from functools import partial

from limpet.demo.scenes.owning import ask_stranger
from limpet.demo.scenes.updating import owner
from limpet.demo.stage import Missed, wait_for
from limpet.demo.story import Scene, Teller
from limpet.demo.world import World, now

__all__ = ["SUPPORT"]

SOON = timedelta(seconds=3)
END_SECONDS = 20.0


def _end_support(world: World, tell: Teller) -> None:
    device = world.devices[0]
    end = (now() + SOON).replace(microsecond=0)
    _state(world, "support-short", f"{end:%Y-%m-%dT%H:%M:%S}", "Support ends today.")
    before = owner(world, device, "check")
    if before["support_over"] or datetime.fromisoformat(str(before["support_until"])) != end:
        raise Missed(f"the device says of its support {before}")
    tell(f"support until {end:%Y-%m-%d %H:%M:%S} UTC, signed offline: the device shows its owner")
    public = wait_for("the end of support", partial(_ended, world), seconds=END_SECONDS)
    with world.client(device) as client:
        client.request("GET", "/v1/functions/temperature")
    tell(f"it passes: the device tells all who ask ({public['text']}), and keeps working")
    _state(world, "support-long", "2031-12-31", "Security updates until the end of 2031.")
    after = owner(world, device, "check")
    if after["support_over"]:
        raise Missed(f"after the extension the device says {after}")
    tell(f"the vendor signs a longer commitment: until {after['support_until']}")


def _ended(world: World) -> dict[str, object] | None:
    """What the public identity says of support, once it is over."""
    answer = ask_stranger(world, world.devices[0], "GET", "/v1/identity")
    found: dict[str, object] = json.loads(answer.body)["support"]
    return found if found["over"] else None


def _state(world: World, name: str, until: str, text: str) -> None:
    out = world.stage.directory / name
    world.stage.limpet(
        "release", "support", "--model", "thermostat", "--until", until, "--text", text,
        "--offline", world.vendor / "offline",
        "--repository", world.vendor / "public" / "repository", "--out", out,
    )  # fmt: skip
    world.stage.limpet("release", "publish", out, "--vendor", world.vendor)


SUPPORT = Scene("The support period ends, as it was signed; the owner is told", _end_support)
