"""Devices cloned from one image before their first boot, and devices beside a broken generator."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.device.workshop import Running, running, until
from tests.end_to_end.living import NOW, make_device, make_home, serving, set_lifetime

from limpet.crypto.chains import load_certificates
from limpet.crypto.keys import spki_sha256
from limpet.vendor.factory import station as factory
from limpet.vendor.factory.console import open_console
from limpet.vendor.factory.station import Station, load_factory_image
from limpet.vendor.fleet import view_fleet
from limpet.vendor.home import Home
from limpet.vendor.store import Database
from limpet.wire.factory import CertificateRequest, Identify

pytestmark = pytest.mark.end_to_end
IDENTIFY = Identify(
    model="thermostat", hardware_revision="A1", serial="TH-00000001", manufactured_at=NOW
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("clones"))


def _unmade(home: Home, directory: Path) -> Path:
    """A device's directory as an image for many: installed, not yet made."""
    directory.mkdir()
    factory._install(load_factory_image(home.root.parent / "release"), directory)
    return directory


@dataclass(frozen=True)
class Secrets:
    """Everything that a device has drawn."""

    claim_code: str
    seed: bytes
    identity_key: bytes
    gateway_key: bytes
    updater_key: bytes
    served_certificate_key: bytes


def _live(home: Home, directory: Path, vendor: str) -> Secrets:
    """Let the factory make the device, then let it enroll."""
    station = Station(home, clock=lambda: datetime.now(UTC))
    label = station._converse(
        load_factory_image(home.root.parent / "release"), directory, station._reserve("A1"), "A1"
    )
    with running(directory, "--resolve", f"vendor.example.com:443={vendor}") as device:
        until(device.has_enrolled, "it did not enroll", device)
    served = (directory / "gateway" / "ldevid.pem").read_bytes()
    return Secrets(
        claim_code=label.claim_code,
        seed=(directory / "random.seed").read_bytes(),
        identity_key=_key_of(directory / "keeper"),
        gateway_key=_key_of(directory / "gateway"),
        updater_key=_key_of(directory / "updater"),
        served_certificate_key=spki_sha256(load_certificates(served)[0]),
    )


def _key_of(directory: Path) -> bytes:
    keys = [f for f in directory.rglob("*.*") if f.is_file() and b"PRIVATE KEY" in f.read_bytes()]
    assert len(keys) == 1, keys
    return keys[0].read_bytes()


def test_two_devices_cloned_before_their_first_boot_have_nothing_in_common(
    home: Home, tmp_path: Path
) -> None:
    """The image was even started once, so that both copies begin with the same seed and key."""
    image = _unmade(home, tmp_path / "image")
    with open_console(image, errors=tmp_path / "said") as console:
        console.say(IDENTIFY)
        console.expect(CertificateRequest)
    seed = (image / "random.seed").read_bytes()
    assert len(seed) == 32
    shutil.rmtree(image / "run")
    copies = [Path(shutil.copytree(image, tmp_path / name)) for name in ("one", "two")]
    with serving(home) as vendor:
        one, two = (_live(home, copy, vendor) for copy in copies)
    for name in Secrets.__dataclass_fields__:
        assert getattr(one, name) != getattr(two, name), f"both have the same {name}"
    assert seed not in (one.seed, two.seed)


def _stuck(directory: Path) -> Path:
    path = directory / "noise"
    path.write_bytes(b"\xff" * 4096)
    return path


def test_a_device_beside_a_broken_generator_is_not_made(home: Home, tmp_path: Path) -> None:
    device = _unmade(home, tmp_path / "device")
    command = [sys.executable, "-I", "-m", "limpet.device.boot", str(device), "--factory"]
    identify = json.dumps({"type": "identify", "model": "thermostat"}).encode() + b"\n"
    done = subprocess.run(
        [*command, "--noise-source", str(_stuck(tmp_path))],
        input=identify,
        capture_output=True,
        timeout=150,
    )
    said = json.loads(done.stdout)
    assert said["reason"] == "noise-failing"
    assert "repetition-count test failed" in said["message"]
    assert done.returncode == 1
    assert not list((device / "keeper").glob("*.key"))


def test_a_device_whose_generator_fails_says_so_and_goes_on(home: Home, tmp_path: Path) -> None:
    directory = make_device(home)
    with running(directory, "--noise-source", str(_stuck(tmp_path))) as device:
        until(lambda: device.has_logged("listening"), "it did not start", device)
        failing = partial(device.has_logged, "noise-source-failing", "repetition-count")
        until(failing, "it does not say so", device)
    command = [sys.executable, "-m", "limpet", "device", "status", str(directory)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=150).stdout
    assert "hardware noise source failing: the repetition-count test failed at sample 31" in shown
    told = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, check=True, timeout=150
    )
    assert json.loads(told.stdout)["status"]["randomness"]["source"] == "failing"


def _status(directory: Path) -> dict[str, Any]:
    """What the supervisor of the running device says; nothing before it does."""
    file = directory / "run" / "status.json"
    status: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return status


def test_a_generator_that_says_nothing_holds_up_no_start_and_is_told_later(
    home: Home, tmp_path: Path
) -> None:
    directory, pipe = make_device(home), tmp_path / "pipe"
    (directory / "run" / "status.json").unlink()  # of the factory
    os.mkfifo(pipe)
    silent = os.open(pipe, os.O_RDWR)
    try:
        with running(directory, "--noise-source", str(pipe), wait=False) as device:
            until(lambda: bool(_status(directory).get("roles")), "no role started", device)
            assert _status(directory)["randomness"]["source"] == "untried"
            until(lambda: device.has_logged("noise-source-failing"), "not told", device)
            told = _status(directory)["randomness"]
            assert told["source"] == "failing"
            assert "gave 0 of 1024 samples in 5 s" in told["detail"]
            until(lambda: device.has_logged("listening"), "it does not serve", device)
    finally:
        os.close(silent)


def _has_renewed(device: Running) -> bool:
    """Whether a role has a second certificate already: the machine may be slow."""
    roles = [entry.role for entry in device.log() if entry.event == "enrolled"]
    return len(roles) > len(set(roles))


@pytest.mark.slow
def test_a_copy_of_a_finished_device_is_seen_by_the_vendor_at_the_first_renewal(
    tmp_path: Path,
) -> None:
    home = make_home(tmp_path)
    set_lifetime(home, 60)  # the shortest; it is renewed at two thirds
    directory = make_device(home)
    copy = Path(shutil.copytree(directory, tmp_path / "copy"))

    def doubled() -> bool:
        return any(device.doubled for device in view_fleet(Database.open(home.database)))

    with serving(home) as vendor:
        resolve = ("--resolve", f"vendor.example.com:443={vendor}")
        with running(directory, *resolve) as one:
            until(one.has_enrolled, "the first did not enroll", one)
            with running(copy, *resolve) as other:
                until(other.has_enrolled, "the copy did not enroll", other)
                early = doubled()  # so far it may have lost its keys
                assert not early or _has_renewed(one) or _has_renewed(other)
                until(doubled, "the vendor does not see it", one)
