"""Machines that fail: full disks, taken ports, kills half-way, damaged devices. Nothing is lost."""

import contextlib
import http.client
import json
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.device.workshop import processes_of, running, until
from tests.end_to_end.bad_input import (
    ENVIRONMENT,
    EXAMPLE,
    Founded,
    command,
    does,
    found,
    refuses,
    run,
)
from tests.ports import held_port

pytestmark = pytest.mark.end_to_end
SMALL_DISK = "24m"  # room for a vendor or a device, and soon full
ALL_ROLES = "6 roles"  # the factory's run, with two, is in the same log
JUNK = bytes(range(256)) * 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    founded = found(tmp_path_factory.mktemp("machine") / "whole")
    does(
        "factory", "make", "--vendor", founded.vendor, "--image", founded.published,
        "--out", founded.root / "devices",
    )  # fmt: skip
    return founded


@pytest.fixture
def founded(whole: Founded, tmp_path: Path) -> Founded:
    return whole.copy(tmp_path / "copy")


@pytest.fixture
def device(founded: Founded) -> Path:
    (found_device,) = (founded.root / "devices").glob("th-*")
    return found_device


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with a few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "limpet-test", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, timeout=150)
    if done.returncode != 0:
        pytest.skip(f"a small disk takes the right to mount: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True, timeout=150)


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Not one free byte on `disk`."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def taken_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def cut(*words: object, when: Callable[[], bool], by: signal.Signals) -> int:
    """Start a command, end it by a signal as soon as `when` holds; its exit status."""
    process = subprocess.Popen(
        command(*words), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    end = time.monotonic() + 120
    while process.poll() is None and not when():
        assert time.monotonic() < end
        time.sleep(0.001)
    process.send_signal(by)
    said, _ = process.communicate(timeout=150)
    assert b"Traceback" not in said
    return process.returncode


# --- a full disk


def test_a_full_disk_makes_no_half_vendor_and_no_half_device(
    founded: Founded, small_disk: Path
) -> None:
    make = ("factory", "make", "--vendor", founded.vendor, "--image", founded.published)
    with filled(small_disk):
        for words in (
            ("vendor", "init", small_disk / "vendor", "--product", EXAMPLE),
            (*make, "--out", small_disk / "out"),
        ):
            refuses(*words, status=3, says="no space left on device", advice="free some space")
    assert not (small_disk / "vendor").exists()
    assert list(small_disk.rglob("*.key")) + list(small_disk.glob("out/th-*")) == []
    does("vendor", "init", small_disk / "vendor", "--product", EXAMPLE, "--unsafe-without-gate")
    does(*make, "--out", small_disk / "out")


def test_a_full_disk_stops_publishing_and_loses_nothing(founded: Founded, small_disk: Path) -> None:
    there = founded.copy(small_disk / "there")
    before = there.public_state()
    publish = ("release", "publish", there.signed, "--vendor", there.vendor)
    rollout = ("rollout", "start", "1.0.0", "--vendor", there.vendor, "--steps", "25,50,75,100")
    with filled(small_disk):
        for words in (publish, rollout, ("vendor", "renew", there.vendor)):
            refuses(*words, status=3, says=str(there.root), advice="free some space")
            assert there.public_state() == before
    for words in (publish, rollout):
        does(*words)
    assert list(small_disk.rglob("*.part")) == []


def test_a_device_with_a_full_disk_runs_and_answers(device: Path, small_disk: Path) -> None:
    there = small_disk / "device"
    subprocess.run(["cp", "-a", str(device), str(there)], check=True, timeout=150)
    with running(there) as boot:
        until(lambda: boot.has_logged("running", ALL_ROLES), "it does not run", boot)
    with (
        held_port() as port,
        filled(small_disk),
        running(there, "--listen", f"127.0.0.1:{port}") as boot,
    ):
        until(lambda: _identity(port) is not None, "it does not answer", boot)
        answer = _identity(port)
        assert answer is not None
        assert answer["claimed"] is False
    accounts = json.loads((there / "accounts" / "accounts.json").read_bytes())
    assert accounts["state"] == "unclaimed"


def _identity(port: int) -> dict[str, object] | None:
    """What anybody is told; a device that was never online cannot prove itself yet."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    client = http.client.HTTPSConnection("127.0.0.1", port, context=tls, timeout=60)
    try:
        client.request("GET", "/v1/identity")
        answer: dict[str, object] = json.loads(client.getresponse().read())
    except (OSError, ValueError):
        return None
    finally:
        client.close()
    return answer


# --- ports


def test_a_taken_port_is_said_once_by_vendor_and_device(founded: Founded, device: Path) -> None:
    with taken_port() as port:
        for words in (("vendor", "serve", founded.vendor), ("device", "run", device)):
            advice = "choose another port"
            refuses(*words, "--listen", port, status=3, says="already in use", advice=advice)
    assert processes_of(device) == []


@pytest.mark.parametrize("listen", ["8443", "127.0.0.1:99999", "203.0.113.7:8443", "a b:1"])
def test_an_address_that_cannot_be_listened_on_ends_the_command(
    listen: str, founded: Founded, device: Path
) -> None:
    for words in (("vendor", "serve", founded.vendor), ("device", "run", device)):
        done = run(*words, "--listen", listen)
        done.is_refusal(status=3 if listen[0] in "2a" else 1, says=listen.partition(":")[0])


# --- kills half-way


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_a_vendor_whose_making_was_cut_off_is_made_by_the_next_command(
    by: signal.Signals, tmp_path: Path
) -> None:
    words = ("vendor", "init", tmp_path / "v", "--product", EXAMPLE)
    cut(*words, when=(tmp_path / ".v.part" / "offline").exists, by=by)
    if not (tmp_path / "v").exists():
        refuses("vendor", "fleet", tmp_path / "v", status=3, says="not a vendor's directory")
        does(*words)
    assert [path.name for path in tmp_path.iterdir()] == ["v"]
    does("vendor", "fleet", tmp_path / "v")


def test_a_publication_that_was_killed_is_finished_or_repeated(founded: Founded) -> None:
    repository = founded.vendor / "public" / "repository"
    words = ("release", "publish", founded.signed, "--vendor", founded.vendor)
    for reached in ("images/*.img", "metadata/*.releases/*.json", "metadata/*.snapshot.json"):
        count = len(list(repository.glob(reached)))
        cut(
            *words,
            when=lambda r=reached, n=count: len(list(repository.glob(r))) > n,  # type: ignore[misc]
            by=signal.SIGKILL,
        )
    done = run(*words)
    if done.status != 0:
        done.is_refusal(status=1, says="1.1.0 is published", advice="nothing is left to do")
    does("rollout", "start", "1.1.0", "--vendor", founded.vendor, "--steps", "25,50,75,100")


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_a_device_whose_making_was_cut_off_never_runs_and_leaves_no_process(
    by: signal.Signals, founded: Founded, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = (
        "factory", "make", "--vendor", founded.vendor, "--image", founded.published, "--out", out
    )  # fmt: skip
    cut(*words, when=lambda: any(out.glob("th-*/factory.log")), by=by)
    until(lambda: processes_of(out) == [], "a process is left")
    for half in out.glob("th-*"):
        if not (half / "identity.json").exists():
            refuses("device", "run", half, status=1, says="the factory did not finish it")
    does(*words)
    assert len(list((out / "labels").glob("*.txt"))) >= 1


# --- damaged devices


def test_a_directory_that_is_no_device_is_said_to_be_none(tmp_path: Path) -> None:
    refuses("device", "run", tmp_path / "none", status=3, says="no device", advice="factory make")
    refuses("device", "status", tmp_path, status=3, says="identity.json", advice="device's")
    refuses("device", "log", tmp_path, status=3, says="no log", advice="device's directory")


@pytest.mark.parametrize(
    ("damaged", "status", "says"),
    [
        (["identity.json"], 1, "identity.json"),
        (["slots/boot.json", "slots/boot.json.copy"], 1, "boot record"),
        (["slots/a/firmware.json"], 1, "no slot holds firmware that may run"),
    ],
)
def test_a_device_that_cannot_run_says_which_file_and_ends(
    damaged: list[str], status: int, says: str, device: Path
) -> None:
    for name in damaged:
        (device / name).write_bytes(JUNK)
    done = run("device", "run", device)
    assert done.status == status
    assert says in done.err
    assert "Traceback" not in done.err
    assert len(done.err.splitlines()) <= 2  # boot says which slot is damaged, then that it ends
    assert processes_of(device) == []


def test_a_device_runs_once(device: Path) -> None:
    with running(device) as boot:
        until(lambda: boot.has_logged("running", ALL_ROLES), "it does not run", boot)
        refuses("device", "run", device, status=3, says="running already", advice="stop it first")
        assert boot.boot.poll() is None


def test_a_device_with_damaged_accounts_lets_nobody_in_and_goes_on_working(device: Path) -> None:
    accounts = device / "accounts" / "accounts.json"
    accounts.write_bytes(JUNK)
    with running(device) as boot:
        until(lambda: boot.has_logged("running", ALL_ROLES), "it does not run", boot)
        locked = partial(boot.has_logged, "accounts-locked", "accounts.json")
        until(locked, "it does not say so", boot)
        listening = device / "run" / "listening.json"
        until(listening.exists, "it does not listen", boot)
        where = json.loads(listening.read_bytes())
        until(lambda: _identity(where["port"]) is not None, "it does not answer", boot)
        answer = _identity(where["port"])
        assert answer is not None
        assert answer["reason"] == "accounts-locked"
        heater = device / "app" / "heater"
        until(heater.exists, "the app does not work", boot)
    assert accounts.read_bytes() == JUNK


def test_a_report_that_cannot_be_written_is_refused_before_the_demo_begins(tmp_path: Path) -> None:
    missing = tmp_path / "none" / "report.json"
    kept = tmp_path / "kept"
    words = ("demo", "--json", missing, "--keep", kept)
    refuses(*words, status=3, says="there is no directory", advice="make it first")
    assert not kept.exists()
