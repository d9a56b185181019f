"""The vendor, its first release, and the factory."""

import re
from pathlib import Path

from limpet.crypto.chains import load_certificates
from limpet.crypto.keys import spki_sha256
from limpet.crypto.randomness import normalise_code
from limpet.demo.scenes.developing import FIRST, begin_first, begin_new
from limpet.demo.scenes.gating import bring_advisories
from limpet.demo.scenes.releasing import publish
from limpet.demo.stage import Missed, wait_for
from limpet.demo.story import Scene, Teller
from limpet.demo.world import Device, World

__all__ = ["FACTORY", "FIRST_RELEASE", "VENDOR"]

READY_SECONDS = 60.0


def _found_vendor(world: World, tell: Teller) -> None:
    checked = world.stage.limpet("product", "check", world.product)
    counts = ", ".join(f"{checked[key]} {key}" for key in ("interfaces", "threats", "measures"))
    tell(f"the design file is whole: {counts}")
    for gap in world.borne_gaps():
        tell(f"this machine has no {gap.mechanism.value}: the demo's devices run without it")
    world.stage.limpet("vendor", "init", world.vendor, "--product", world.product)
    offline = sorted(path.name for path in (world.vendor / "offline").iterdir())
    tell(f"keys made; offline, where no server reads them: {', '.join(offline)}")
    world.stage.start("vendor", "vendor", "serve", world.vendor, "--listen", "127.0.0.1:0")
    bring_advisories(world)
    begin_first(world)

    def listening() -> int | None:
        world.stage.verify_running("vendor")
        found = re.search(r"listening on https://127\.0\.0\.1:(\d+)", world.stage.output("vendor"))
        return int(found[1]) if found else None

    world.vendor_port = wait_for("the vendor's service", listening, seconds=READY_SECONDS)
    tell(f"enrollment, repository, reports and pages on https://127.0.0.1:{world.vendor_port}")


def _first_release(world: World, tell: Teller) -> None:
    out = publish(world, FIRST, tell)
    begin_new(world)
    tell("the gate let it pass, and said so by its own key: signers and devices ask for that")
    shown = world.stage.limpet("release", "show", out)
    tell(f"firmware {FIRST}: {shown['image_bytes'] // 1024} KiB, {shown['manifest_sha256'][:16]}…")


def _make_devices(world: World, tell: Teller) -> None:
    out, count = world.stage.directory / "devices", world.count + 1  # one stays in its box
    made = world.stage.limpet(
        "factory", "make", "--vendor", world.vendor, "--image", world.releases[FIRST],
        "--count", str(count), "--out", out,
    )  # fmt: skip
    found = [
        Device(
            serial=device["serial"],
            directory=Path(device["directory"]),
            label=Path(device["label_text"]),
            label_picture=Path(device["label_svg"]),
        )
        for device in made
    ]
    if len(found) != count:
        raise Missed(f"{len(found)} devices were made instead of {count}")
    world.devices, world.spare = found[:-1], found[-1]
    keys = {_public_key(device) for device in found}
    codes = {device.claim_code for device in found}
    if len(keys) != count or len(codes) != count:
        raise Missed("two devices share a key or a claim code")
    tell(f"{count} devices, {len(keys)} different keys, {len(codes)} different claim codes")
    _verify_station_forgot(world, found)
    tell("the station kept no private key and no claim code: all its files were searched")
    tell(f"a label to look at: {Path(made[0]['label_pdf']).relative_to(world.stage.directory)}")


def _public_key(device: Device) -> bytes:
    pem = next(
        path.read_bytes()
        for path in sorted((device.directory / "keeper").iterdir())
        if b"BEGIN CERTIFICATE" in path.read_bytes()
    )
    return spki_sha256(load_certificates(pem)[0])


def _verify_station_forgot(world: World, devices: list[Device]) -> None:
    needles = [device.claim_code.encode() for device in devices]
    needles += [normalise_code(device.claim_code).encode() for device in devices]
    for device in devices:
        for path in (device.directory / "keeper").iterdir():
            if b"PRIVATE KEY" in path.read_bytes():
                needles.append(path.read_bytes().splitlines()[1])
    if len(needles) != 3 * len(devices):
        raise Missed("expected one private key in the keeper of each device")
    for path in world.vendor.rglob("*"):
        content = _read(path)
        if any(needle in content for needle in needles):
            raise Missed(f"{path} holds a device's secret")


def _read(path: Path) -> bytes:
    """Nothing, if it is no file or has gone: the vendor's service works meanwhile."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return b""


VENDOR = Scene("A vendor is founded: design file, keys, services", _found_vendor)
FIRST_RELEASE = Scene(
    f"Firmware {FIRST} passes the gate, is signed offline, published", _first_release
)
FACTORY = Scene("The factory makes devices, each with its own key, code and label", _make_devices)
