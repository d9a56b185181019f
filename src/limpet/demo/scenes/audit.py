"""The audit attacks a running device, statement by statement."""

from collections import Counter

from limpet.demo.scenes.developing import MENDED
from limpet.demo.scenes.owning import wait_enrolled
from limpet.demo.stage import Missed, wait_for
from limpet.demo.story import Scene, Teller
from limpet.demo.world import VENDOR_HOST, Device, World
from limpet.owner.store import Store
from limpet.storage import write_atomic

__all__ = ["AUDIT"]

SETTLE_SECONDS = 150.0


def _audit(world: World, tell: Teller) -> None:
    device, spare = world.devices[-1], world.spare
    if spare is None:
        raise Missed("there is no device in its box")
    _wait_settled(world, spare)
    tell(
        f"{spare.serial} came out of its box, and brought itself up to date; nobody has claimed it"
    )
    looked = world.stage.limpet("release", "watch", world.vendor, "--advisories", world.advisories)
    if not looked["conclusive"]:
        raise Missed(f"the look at what became known was cut short: {looked['troubles'][:2]}")
    tell(f"the vendor looks what became known of its releases: {len(looked['entries'])} entries")
    token = world.stage.directory / "owner-token"
    write_atomic(token, Store(world.owner).load(device.serial).token.encode())
    trust = world.vendor / "trust"
    service = f"{VENDOR_HOST}:{world.vendor_port}"
    report = world.stage.limpet(
        "audit", device.url, *(other.url for other in world.devices if other is not device),
        "--device", device.directory, "--device-root", trust / "device-root.pem",
        "--token-file", token, "--fresh", spare.url,
        "--label", device.label_picture, "--label-uri", f"@{spare.label}",
        "--product", world.source, "--vendor", world.vendor,
        "--vendor-url", f"https://{service}", "--service-root", trust / "service-root.pem",
        "--resolve", f"{service}=127.0.0.1:{world.vendor_port}",
        statuses=(0, 1), json_option=("--json", "-"),
    )  # fmt: skip
    world.report = report
    found = Counter(entry["verdict"] for entry in report["entries"])
    tell(f"{len(report['entries'])} statements: " + ", ".join(f"{n} {v}" for v, n in found.items()))
    failed = [entry["statement"] for entry in report["entries"] if entry["verdict"] == "fail"]
    if failed:
        raise Missed(f"the device fails {', '.join(failed)}")


def _wait_settled(world: World, spare: Device) -> None:
    """Until the device has brought itself up to date: it is not restarted in mid-audit then."""

    def newest() -> bool | None:
        confirmed = world.log(spare, "update-confirmed")
        return any(MENDED in entry["detail"] for entry in confirmed) or None

    wait_for(f"{spare.serial} to run {MENDED}", newest, seconds=SETTLE_SECONDS)
    wait_enrolled(world, spare)


AUDIT = Scene("The audit attacks a running device, statement by statement", _audit)
