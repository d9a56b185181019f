"""A real device, made by the real station, started by real boot, enrolled by a real vendor."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.device.workshop import Running, example_product, lacking_here, missing_in, running, until

from limpet.crypto.suites import CURRENT
from limpet.crypto.tls import client_context
from limpet.firmware.tree import digest_tree
from limpet.https.client import HttpsClient
from limpet.release import BuildOrder, build_release
from limpet.vendor.factory.station import Station, load_factory_image
from limpet.vendor.home import Home, create
from limpet.wire.release import Bounds

pytestmark = pytest.mark.end_to_end
PRODUCT = example_product()
ROLES = ("keeper", "accounts", "app", "updater", "gateway", "announcer")
READY = ("running", "resting")
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return create(
        tmp_path_factory.mktemp("life") / "vendor", PRODUCT, now=NOW, unsafe_without_gate=True
    )


@pytest.fixture(scope="module")
def vendor(home: Home) -> Iterator[str]:
    """The vendor's service as a process of its own; "address:port"."""
    command = [sys.executable, "-m", "limpet", "vendor", "serve", str(home.root)]
    process = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.rpartition("https://")[2].strip()
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def device(home: Home, vendor: str) -> Iterator[Running]:
    order = BuildOrder(
        product=PRODUCT,
        trust=home.trust,
        version="1.0.0",
        security_counter=1,
        interface_version=1,
        bounds=Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=1_000_000),
        built_at=NOW,
    )
    build_release(order, home.root.parent / "release")
    station = Station(home, clock=lambda: datetime.now(UTC))
    image = load_factory_image(home.root.parent / "release")
    made = next(iter(station.make(image, home.root.parent / "devices", count=1)))
    with running(Path(made.directory), "--resolve", f"vendor.example.com:443={vendor}") as running_:
        until(lambda: _serves_its_certificate(running_), "it was not enrolled", running_)
        yield running_


def _serves_its_certificate(device: Running) -> bool:
    """The updater enrolls too, for its own."""
    return any((e.role, e.event) == ("gateway", "enrolled") for e in device.log())


def _port(device: Running) -> int:
    return int(json.loads((device.root / "run" / "listening.json").read_text())["port"])


def _identity(device: Running, home: Home) -> dict[str, object]:
    """The identity answer, over TLS that trusts the device root alone."""
    tls = client_context(roots_pem=(home.trust / "device-root.pem").read_bytes())
    with HttpsClient(f"https://localhost:{_port(device)}", tls=tls) as client:
        reply = client.get("/v1/identity", max_bytes=64 << 10)
    found: dict[str, object] = json.loads(reply.body)
    return found


def test_it_answers_by_a_certificate_that_its_keeper_enrolled(device: Running, home: Home) -> None:
    until(lambda: device.has_logged("enrolled", "client certificate"), "no client certificate")
    identity = _identity(device, home)
    assert identity["claimed"] is False
    assert str(identity["serial"]).lower() == device.root.name


def test_every_role_is_confined_with_nothing_missing(device: Running) -> None:
    status = json.loads((device.root / "run" / "status.json").read_text())
    assert [role["role"] for role in status["roles"]] == list(ROLES)
    for role in status["roles"]:
        assert missing_in(role["confinement"]) == {name for name, _ in lacking_here()}, role["role"]


def test_no_start_writes_into_the_verified_slot(device: Running) -> None:
    assert device.state.a is not None
    assert digest_tree(device.root / "slots" / "a") == device.state.a.tree_sha256
    assert not device.has_logged("tampered-tree")


@pytest.mark.parametrize("role", ROLES)
def test_a_killed_role_comes_back_and_the_device_answers_at_the_same_port(
    role: str, device: Running, home: Home
) -> None:
    until(lambda: _all_up(device), "not all run", device)
    if not device.find_pid(role):  # it rests: nobody has asked for half a minute
        device.boot.terminate()
        device.start_again()
    until(lambda: device.state_of(role) == "running", "it does not run", device)
    port, victim = _port(device), device.pid_of(role)
    os.kill(victim, signal.SIGKILL)
    until(lambda: device.find_pid(role) not in (0, victim), "it was not restarted", device)
    until(lambda: _all_up(device), "it did not become ready", device)
    assert _identity(device, home)["model"] == "thermostat"
    assert _port(device) == port


def _all_up(device: Running) -> bool:
    """Each runs, or rests until somebody asks."""
    return all(device.state_of(role) in READY for role in ROLES)


def test_a_person_sees_it_run(device: Running) -> None:
    command = [sys.executable, "-m", "limpet", "device"]
    status = [*command, "status", str(device.root)]
    seen = subprocess.run(status, capture_output=True, text=True, timeout=150, check=True).stdout
    assert "running: firmware 1.0.0 in slot a" in seen
    assert f"algorithms: {CURRENT.id}" in seen
    assert f"listening on 127.0.0.1:{_port(device)}" in seen
    confinement = [*status, "--confinement"]
    seen = subprocess.run(confinement, capture_output=True, text=True, timeout=150, check=True)
    lacks = bool(lacking_here()) or os.geteuid() != 0  # an ordinary user's roles have one id
    assert ("MISSING" in seen.stdout) is lacks
    log = [*command, "log", str(device.root)]
    seen = subprocess.run(log, capture_output=True, text=True, timeout=150, check=True)
    assert "running: slot a, 6 roles" in seen.stdout
