"""The vendor's whole server is stolen: its directory, its keys, its certificate, its address.

Real processes. The vendor's service is stopped, and the same program serves the thief's copy at the
same address, with everything but the offline drawer, which was never on that machine. The thief
then tries what it can; the device refuses each, says why, and goes on running what it ran.
"""

import dataclasses
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.commands import limpet
from tests.device.workshop import Running, example_product, running, until
from tests.end_to_end.test_update import HASTE, NOW, now, order
from tests.ports import held_port

from limpet.demo.thief import Thief
from limpet.firmware.slots import BOOT_FILE
from limpet.firmware.tree import digest_tree
from limpet.release import SigningOrder, build_release, default_keys, publish, sign_release
from limpet.vendor.factory.station import Station, load_factory_image
from limpet.vendor.home import Home, create, open_home
from limpet.vendor.repository import Repository
from limpet.wire.release import Bounds
from limpet.wire.rollout import Plan, PlannedRelease, PlanState, device_tag

pytestmark = pytest.mark.end_to_end

SLOW = Bounds(not_before=NOW, minimum_duration_seconds=1000 * 86_400, largest_step_ppm=1_000_000)


@dataclass
class Theft:
    """What the vendor had, what the thief has, and the device between them."""

    home: Home
    stolen: Path
    port: int
    device: Running
    releases: dict[str, Path]
    serial: str

    @property
    def thief(self) -> Thief:
        return Thief(SimpleNamespace(vendor=self.stolen))  # type: ignore[arg-type]

    def digest(self, version: str) -> str:
        manifest = (self.releases[version] / "manifest.json").read_bytes()
        return hashlib.sha256(manifest).hexdigest()

    def meets(self, event: str, reason: str) -> None:
        """Wait until the device has said so, and the thief's own server was told."""
        until(
            lambda: self.device.has_logged(event, f"{reason}: "),
            f"no {event} {reason}",
            self.device,
        )
        until(lambda: reason in self._fleet(), f"{reason} was not reported", self.device)

    def _fleet(self) -> str:
        return limpet("vendor", "fleet", self.stolen, "--json").stdout


def release(home: Home, product: Path, version: str, **bounds: Bounds) -> Path:
    out = home.root.parent / f"release-{version}"
    build_release(dataclasses.replace(order(home, product, version), **bounds), out)
    keys = tuple(default_keys(home.offline, "thermostat"))
    root = home.trust / "root.json"
    sign_release(out, SigningOrder(repository=home.repository, root=root, keys=keys), now=now())
    publish(out, home.root, clock=now)
    return out


def serve(directory: Path, port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "limpet", "vendor", "serve", str(directory)]
    process = subprocess.Popen(
        [*command, "--listen", f"127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().rstrip().endswith(f":{port}")
    return process


@pytest.fixture(scope="module")
def theft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theft]:
    base = tmp_path_factory.mktemp("theft")
    product = base / "product"
    hidden = shutil.ignore_patterns(".*", "__pycache__", "tests")
    shutil.copytree(example_product(), product, ignore=hidden)
    text = (product / "product.toml").read_text()
    for slow, fast in HASTE.items():
        text = text.replace(slow, fast)
    (product / "product.toml").write_text(text)
    home = create(base / "vendor", product, now=NOW, unsafe_without_gate=True)
    build_release(order(home, product, "1.0.0"), base / "release-1.0.0")
    image = load_factory_image(base / "release-1.0.0")
    made = Station(home, clock=now).make(image, base / "devices", count=1)
    releases = {version: release(home, product, version) for version in ("1.1.0", "1.2.0")}
    releases["1.3.0"] = release(home, product, "1.3.0", bounds=SLOW)
    held = ExitStack()
    port = held.enter_context(held_port())  # for both servers
    process = serve(home.root, port)
    try:
        one, resolve = next(iter(made)), f"vendor.example.com:443=127.0.0.1:{port}"
        with running(Path(one.directory), "--resolve", resolve) as device:
            theft = Theft(home, base / "stolen", port, device, releases, one.serial)
            update_once(theft)
            process.terminate()
            process.wait(60)
            shutil.copytree(home.root, theft.stolen, ignore=shutil.ignore_patterns("offline"))
            process = serve(theft.stolen, port)
            yield theft
    finally:
        process.terminate()
        process.wait(60)
        held.close()


def update_once(theft: Theft) -> None:
    """The control: what this vendor offers is installed. And 1.2.0 is withdrawn, seen."""
    repository = Repository(theft.home, now)
    good = PlannedRelease(version="1.1.0", manifest_sha256=theft.digest("1.1.0"))
    plan = Plan(
        model="thermostat",
        state=PlanState.RUNNING,
        release=good,
        admitted_ppm=1_000_000,
        withdrawn=(theft.digest("1.2.0"),),
        issued_at=now(),
    )
    repository.publish_plan(plan)
    until(lambda: theft.device.has_logged("update-confirmed", "1.1.0"), "not updated", theft.device)


def test_a_stolen_server_achieves_nothing(theft: Theft) -> None:
    device, thief = theft.device, theft.thief
    assert not (theft.stolen / "offline").exists()
    assert open_home(theft.stolen).settings == theft.home.settings
    before = device.state
    slots = device.root / "slots"
    trees = {slot: digest_tree(slots / slot) for slot in ("a", "b")}
    records = (slots / BOOT_FILE).read_bytes()

    forged = thief.manifest(theft.releases["1.2.0"], version="6.6.6")
    thief.place_unsigned(forged, "6.6.6")
    thief.offer("6.6.6", hashlib.sha256(forged).hexdigest())
    theft.meets("update-refused", "unsigned-release")

    thief.offer("1.2.0", theft.digest("1.2.0"))
    theft.meets("update-refused", "withdrawn")

    named = (device_tag(theft.digest("1.3.0"), theft.serial),)
    thief.offer("1.3.0", theft.digest("1.3.0"), named=named)
    theft.meets("update-held", "ramp")

    thief.offer("1.3.0", theft.digest("1.3.0"), model="toaster")
    theft.meets("update-refused", "wrong-model")

    thief.offer("1.3.0", theft.digest("1.3.0"), state=PlanState.HALTED)
    theft.meets("update-held", "halted")

    assert device.state == before
    assert (slots / BOOT_FILE).read_bytes() == records
    assert {slot: digest_tree(slots / slot) for slot in ("a", "b")} == trees
    assert device.boot.poll() is None, "and it runs"
