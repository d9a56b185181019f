"""The support period ends, as signed; the owner is told; the vendor extends it."""

import json
from datetime import datetime, timedelta
from functools import partial

from limpet.demo.scenes.owning import ask_stranger, ask_vendor
from limpet.demo.scenes.updating import owner
from limpet.demo.stage import Missed, wait_for
from limpet.demo.story import Scene, Teller
from limpet.demo.world import World, now

__all__ = ["SUPPORT"]

SOON = timedelta(seconds=6)  # a slow machine signs, publishes and shows it before
END_SECONDS = 60.0
TEXT_NOW = "Updates until today; then it keeps working locally, without any."
LATER_YEARS = 5
TEXT_LATER = "Security updates until the end of {}; then it keeps working locally."


def _end_support(world: World, tell: Teller) -> None:
    device = world.devices[-1]
    end = (now() + SOON).replace(microsecond=0)
    _state(world, "support-short", f"{end:%Y-%m-%dT%H:%M:%S}", TEXT_NOW)
    before = owner(world, device, "check")
    if before["support_over"] or datetime.fromisoformat(str(before["support_until"])) != end:
        raise Missed(f"the device says of its support {before}")
    tell(f"support until {end:%Y-%m-%d %H:%M:%S} UTC, signed offline: the device shows its owner")
    with world.client(device) as client:
        wait_for(
            "the end of support", lambda: client.update().support_over or None, seconds=END_SECONDS
        )
        client.request("GET", "/v1/functions/temperature")
    public = wait_for("the public answer", partial(_public, world, over=True), seconds=END_SECONDS)
    tell(f"it passes: the device tells all who ask ({public['text']})")
    year = now().year + LATER_YEARS
    later = f"{year}-12-31"
    _state(world, "support-long", later, TEXT_LATER.format(year))
    owner(world, device, "check")
    public = wait_for("the new date", partial(_public, world, over=False), seconds=END_SECONDS)
    tell(f"the vendor signs a longer commitment: until {public['until']}")
    wait_for("the public page", partial(_is_on_page, world, later), seconds=END_SECONDS)
    tell("its public support page names that day, too")


def _public(world: World, *, over: bool) -> dict[str, object] | None:
    """What the public identity says of support, once it is over, or once it is not."""
    answer = ask_stranger(world, world.devices[-1], "GET", "/v1/identity")
    found: dict[str, object] = json.loads(answer.body)["support"]
    return found if found["over"] == over else None


def _is_on_page(world: World, until: str) -> bool | None:
    """Pages are made anew some seconds after what they say has changed."""
    text = ask_vendor(world, "/support/thermostat").body.decode()
    return until in text or None


def _state(world: World, name: str, until: str, text: str) -> None:
    out = world.stage.directory / name
    world.stage.limpet(
        "release", "support", "--model", "thermostat", "--until", until, "--text", text,
        "--offline", world.vendor / "offline",
        "--repository", world.vendor / "public" / "repository", "--out", out,
    )  # fmt: skip
    world.stage.limpet("release", "publish", out, "--vendor", world.vendor)


SUPPORT = Scene("The support period ends, as it was signed; the owner is told", _end_support)
