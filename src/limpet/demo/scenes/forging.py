"""Firmware that must not be installed is offered; the devices refuse it and say why."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limpet.demo.scenes.developing import BAD, FIRST, NEW, begin_mended
from limpet.demo.scenes.releasing import publish
from limpet.demo.scenes.updating import owner
from limpet.demo.stage import Missed, wait_for
from limpet.demo.story import Scene, Teller
from limpet.demo.thief import Thief
from limpet.demo.world import World
from limpet.wire.codec import decode_json
from limpet.wire.release import MANIFEST_BYTES, ReleaseManifest
from limpet.wire.rollout import device_tag

__all__ = ["FORGING"]

REFUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Offer:
    """What is offered, and the reason for which it must be refused."""

    what: str
    version: str
    manifest: bytes
    reason: str


def _forge(world: World, tell: Teller) -> None:
    thief = Thief(world)
    genuine = publish(world, BAD, tell)
    begin_mended(world)
    tell("an attacker holds the vendor's online server, with all of its keys")
    manifest = (genuine / "manifest.json").read_bytes()
    with _one_bit_changed(_image_of(world, manifest)):
        offer = _Offer("an image with one bit changed", BAD, manifest, "tampered-image")
        # To one device: another's report of it could come when this release is rolled out, and halt
        # that before a canary has tried it.
        tag = device_tag(hashlib.sha256(manifest).hexdigest(), world.devices[-1].serial)
        _refused(world, thief, offer, tell, named=(tag,), admitted_ppm=0, previous_ppm=0)

    unsigned = thief.manifest(genuine, version="6.6.6")
    thief.place_unsigned(unsigned, "6.6.6")
    offer = _Offer("a release that nobody signed", "6.6.6", unsigned, "unsigned-release")
    _refused(world, thief, offer, tell)

    old = (world.releases[FIRST] / "manifest.json").read_bytes()
    offer = _Offer(f"the old {FIRST}, properly signed", FIRST, old, "rollback")
    _refused(world, thief, offer, tell)

    rushed = _Offer(f"{BAD} for everybody in one step", BAD, manifest, "out-of-bounds")
    with thief.covering_its_tracks():
        _refused(world, thief, rushed, tell, previous_ppm=0)

    past = thief.manifest(genuine, version="1.1.9")
    thief.sign_offline(past, "1.1.9")
    tell("now the attacker has the release keys as well, but not the gate's")
    offer = _Offer("firmware that they signed past the gate", "1.1.9", past, "ungated")
    _refused(world, thief, offer, tell)

    thief.stop_offering()
    _verify_unharmed(world)
    tell(f"all {world.count} devices still run {NEW}, and the thermostat answers")


def _image_of(world: World, manifest: bytes) -> Path:
    decoded = decode_json(manifest, ReleaseManifest, max_bytes=MANIFEST_BYTES)
    return world.vendor / "public" / "repository" / decoded.image.path


@contextlib.contextmanager
def _one_bit_changed(image: Path) -> Iterator[None]:
    kept = image.read_bytes()
    changed = bytearray(kept)
    changed[len(kept) // 2] ^= 1
    image.write_bytes(changed)
    try:
        yield
    finally:
        image.write_bytes(kept)


def _refused(world: World, thief: Thief, offer: _Offer, tell: Teller, **changes: object) -> None:
    device = world.devices[-1]  # the one that the audit asks what it refused
    thief.offer(offer.version, hashlib.sha256(offer.manifest).hexdigest(), **changes)
    owner(world, device, "check")

    def logged() -> str | None:
        entries = world.log(device, "update-refused")
        return next((e["detail"] for e in entries if e["detail"].startswith(offer.reason)), None)

    line = wait_for(f"the device to refuse {offer.what}", logged, seconds=REFUSE_SECONDS)

    def reported() -> bool | None:
        row = next(row for row in world.fleet() if row.serial == device.serial)
        return (row.state == "refused" and row.reason == offer.reason) or None

    wait_for(f"the report of {offer.reason}", reported, seconds=REFUSE_SECONDS)
    tell(f"{offer.what}: refused and reported. {line}")


def _verify_unharmed(world: World) -> None:
    for row in world.fleet():
        if row.version != NEW:
            raise Missed(f"{row.serial} runs {row.version}")
    with world.client(world.devices[0]) as client:
        client.request("GET", "/v1/functions/temperature")


FORGING = Scene(
    "A stolen server achieves nothing: tampered, unsigned, old, rushed, past the gate", _forge
)
