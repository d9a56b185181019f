"""An update retires a group of TLS; the device then refuses it as a server and as a client."""

import hashlib
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from socket import create_connection
from types import SimpleNamespace

import msgspec
import pytest
from tests.device.workshop import Running, example_product, running, until
from tests.end_to_end.test_update import HASTE, World, order
from tests.ports import held_port

from limpet.crypto.suites import CURRENT, SUITE_FILE, bundled_suites, first_suite, parse_suite
from limpet.crypto.tls import client_context
from limpet.demo.thief import Thief
from limpet.release import (
    SigningOrder,
    build_release,
    default_keys,
    publish,
    sign_release,
)
from limpet.vendor.factory.station import Station, load_factory_image
from limpet.vendor.home import Home, create
from limpet.vendor.repository.suites import take_for_firmware
from limpet.wire.release import manifest_path
from limpet.wire.rollout import PlannedRelease

pytestmark = pytest.mark.end_to_end
TEXT = bundled_suites()[CURRENT.version].read_text()
RETIRED = "x25519"


def now() -> datetime:
    return datetime.now(UTC)


def write_suite(file: Path, version: int, *, groups: str) -> Path:
    """The suite in force with another version and other groups, in every use of TLS."""
    lines, skipping = [], False
    for line in TEXT.replace("version = 2\n", f"version = {version}\n").splitlines():
        if line.startswith("groups = ["):
            lines.append(f"groups = [{groups}]")
            skipping = True
        elif not skipping:
            lines.append(line)
        skipping = skipping and line != "]"
    file.write_text("\n".join(lines) + "\n")
    assert parse_suite(file.read_bytes()).version == version
    return file


class Vendor:
    """The vendor's service as a process, which can be started again at the same address."""

    def __init__(self, home: Home) -> None:
        self.home, self._held = home, ExitStack()
        self.address = f"127.0.0.1:{self._held.enter_context(held_port())}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "limpet", "vendor", "serve", str(self.home.root)]
        self._process = subprocess.Popen(
            [*command, "--listen", self.address], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self.address in self._process.stdout.readline()

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(60)


def takes(device: Running, home: Home, group: str) -> bool:
    """Whether the device answers a client that has this group and no other."""
    listening = msgspec.json.decode((device.root / "run" / "listening.json").read_bytes())
    rules = msgspec.structs.replace(CURRENT.tls.local, groups=(group,))
    tls = msgspec.structs.replace(CURRENT.tls, local=rules)
    context = client_context(
        roots_pem=(home.trust / "device-root.pem").read_bytes(),
        suite=msgspec.structs.replace(CURRENT, tls=tls),
    )
    with create_connection(("127.0.0.1", int(listening["port"])), timeout=10) as connection:
        try:
            context.wrap_socket(connection, server_hostname="localhost").close()
        except (ssl.SSLError, OSError):
            return False
    return True


@contextmanager
def living(tmp_path: Path, *, suite: Path | None = None) -> Iterator[tuple[World, Vendor]]:
    """A vendor that began with `suite`, its service, and a device that checks all the time."""
    product = tmp_path / "product"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests")
    shutil.copytree(example_product(), product, ignore=ignored)
    text = (product / "product.toml").read_text()
    for slow, fast in HASTE.items():
        text = text.replace(slow, fast)
    (product / "product.toml").write_text(text)
    home = create(tmp_path / "vendor", product, now=now(), unsafe_without_gate=True, suite=suite)
    build_release(order(home, product, "1.0.0"), tmp_path / "release-1.0.0")
    image = load_factory_image(tmp_path / "release-1.0.0")
    made = next(iter(Station(home, clock=now).make(image, tmp_path / "devices", count=1)))
    vendor = Vendor(home)
    vendor.start()
    try:
        resolve = f"vendor.example.com:443={vendor.address}"
        with running(Path(made.directory), "--resolve", resolve) as device:
            until(device.has_enrolled, "not enrolled", device)
            yield World(home, device, product, product), vendor
    finally:
        vendor.stop()


def test_an_update_retires_a_group_for_what_the_device_accepts_and_for_what_it_offers(
    tmp_path: Path,
) -> None:
    with living(tmp_path) as (world, vendor):
        _retire(world, tmp_path)
        _refuse_the_older(world, tmp_path)
        _leave_the_vendor_behind(vendor, world.device, tmp_path)


def test_a_device_from_before_is_moved_to_both_families_and_takes_no_half_any_more(
    tmp_path: Path,
) -> None:
    with living(tmp_path, suite=first_suite()) as (world, _):
        world.offer(world.release("1.1.0"))
        until(lambda: world.running_version() == "1.1.0", "not confirmed", world.device)
        hybrid = bundled_suites()[CURRENT.version]
        take_for_firmware(world.home, hybrid, offline=world.home.offline, now=now())
        world.offer(world.release("1.2.0"))
        until(lambda: world.running_version() == "1.2.0", "not confirmed", world.device)
        assert world.device.has_logged("algorithms", "limpet-2026 (version 1)")
        assert world.device.has_logged("algorithms", f"{CURRENT.name} (version {CURRENT.version})")
        _offer_half(world)
        until(
            lambda: world.device.has_logged("update-refused", "bad-signature"),
            "it took what ML-DSA did not sign",
            world.device,
        )
        assert world.running_version() == "1.2.0"


def _offer_half(world: World) -> None:
    """Who has the online keys, and has broken Ed25519, signs a release with that alone."""
    thief = Thief(SimpleNamespace(vendor=world.home.root))  # type: ignore[arg-type]
    manifest = thief.manifest(world.home.root.parent / "release-1.2.0", version="1.3.0")
    path = manifest_path("thermostat", "1.3.0")
    broken = [world.home.offline / "releases-thermostat.pem"]
    thief._publish("releases/thermostat", path, manifest, broken)
    thief.offer("1.3.0", hashlib.sha256(manifest).hexdigest())


def _retire(world: World, tmp_path: Path) -> None:
    assert takes(world.device, world.home, RETIRED)
    newer = write_suite(tmp_path / "newer.toml", 3, groups='"secp384r1", "secp256r1"')
    take_for_firmware(world.home, newer, offline=world.home.offline, now=now())
    world.offer(world.release("1.1.0"))
    until(lambda: world.running_version() == "1.1.0", "not confirmed", world.device)
    status = msgspec.json.decode((world.device.root / "run" / "status.json").read_bytes())
    assert status["suite"] == "limpet-2026-hybrid (version 3)"
    assert takes(world.device, world.home, "secp256r1"), "the control: it still answers"
    assert not takes(world.device, world.home, RETIRED)
    until(
        lambda: world.device.has_logged("running", "runs 1.1.0"),
        "it does not reach its vendor any more",
        world.device,
    )


def _refuse_the_older(world: World, tmp_path: Path) -> None:
    """A newer firmware with the older suite would bring back what was retired."""
    older = write_suite(tmp_path / "older.toml", 2, groups=f'"{RETIRED}"')
    out = world.home.root.parent / "release-1.2.0"
    built = build_release(replace(order(world.home, world.product, "1.2.0"), suite=older), out)
    keys = tuple(default_keys(world.home.offline, "thermostat"))
    root = world.home.trust / "root.json"
    signing = SigningOrder(repository=world.home.repository, root=root, keys=keys)
    assert sign_release(out, signing, now=now()).is_valid
    publish(out, world.home.root, clock=now)
    world.offer(PlannedRelease(version="1.2.0", manifest_sha256=built.manifest_sha256))
    until(
        lambda: world.device.has_logged("update-refused", "older than"),
        "it was not refused",
        world.device,
    )
    assert world.running_version() == "1.1.0"


def _leave_the_vendor_behind(vendor: Vendor, device: Running, tmp_path: Path) -> None:
    """The same vendor, but it speaks only the group that the device has retired."""
    vendor.stop()
    write_suite(vendor.home.online / SUITE_FILE, 3, groups=f'"{RETIRED}"')
    vendor.start()
    until(
        lambda: any(
            entry.event == "update-check-failed"
            and entry.detail.startswith("unreachable: TLS with")
            for entry in device.log()
        ),
        "it speaks to a vendor that has only what was retired",
        device,
    )
