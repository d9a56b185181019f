"""An owner, the command line, and a real device with all its processes, from label to kill -9."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.device.workshop import example_product

import limpet
from limpet.cli.main import run
from limpet.device.link.journal import read_journal

pytestmark = [pytest.mark.end_to_end]

EXAMPLE = example_product()
PASSWORD = "a long passphrase of mine"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(limpet.__file__).parents[1])}


def limpet_process(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "limpet", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENVIRONMENT,
    )


def does(*words: object) -> None:
    process = limpet_process(*words)
    output, _ = process.communicate(timeout=150)
    assert process.returncode == 0, output


def until(condition: Callable[[], bool], seconds: float = 180) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@dataclass
class Home:
    """A device that is running, and its owner's things."""

    device: Path
    label: Path
    root: Path
    store: Path
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        where = json.loads((self.device / "run" / "listening.json").read_text())
        return f"https://{where['host']}:{where['port']}"

    def heater(self) -> bytes:
        return (self.device / "app" / "heater").read_bytes()

    def events(self, role: str) -> list[str]:
        return [entry.event for entry in read_journal(self.device) if entry.role == role]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    vendor, release, devices = tmp_path / "vendor", tmp_path / "release", tmp_path / "devices"
    does("vendor", "init", vendor, "--product", EXAMPLE)
    trust = vendor / "trust"
    words = ("--trust", trust, "--version", "1.0.0", "--out", release, "--without-packages")
    does("release", "build", EXAMPLE, *words)
    does("factory", "make", "--vendor", vendor, "--image", release, "--out", devices)
    (device,) = devices.glob("th-*")
    started = [limpet_process("vendor", "serve", vendor, "--listen", "127.0.0.1:0")]
    try:
        assert started[0].stdout is not None
        found = re.search(r"127\.0\.0\.1:\d+", started[0].stdout.readline())
        assert found
        started.append(
            limpet_process(
                "device", "run", device, "--resolve", f"vendor.example.com:443={found[0]}"
            )
        )
        home = Home(
            device=device,
            label=next((devices / "labels").glob("*.txt")),
            root=trust / "device-root.pem",
            store=tmp_path / "store",
            process=started[1],
        )
        assert until(lambda: "enrolled" in home.events("gateway"))
        yield home
    finally:
        for process in reversed(started):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=150)


@pytest.fixture
def owner(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    def types(*words: str, stdin: str = "") -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        status = run(["owner", *words, "--store", str(home.store)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, out or err

    return types


def status_of(home: Home) -> Any:
    return json.loads((home.device / "run" / "status.json").read_text())


def app_process(home: Home) -> int:
    roles = status_of(home)["roles"]
    return next(int(role["pid"]) for role in roles if role["role"] == "app")


def test_an_owner_claims_by_the_label_and_a_killed_app_leaves_the_heater_off(
    home: Home, owner: Callable[..., tuple[int, str]]
) -> None:
    claim = ("claim", home.url, "--root", str(home.root), "--password-stdin")
    wrong = re.sub("c=....", "c=ZZZZ", home.label.read_text().strip())
    status, said = owner(*claim, "--label", wrong, stdin=PASSWORD)
    assert (status, "the code is wrong" in said) == (1, True)
    assert owner(*claim, "--label", f"@{home.label}", stdin=PASSWORD)[0] == 0

    status, said = owner("call", "set_target", "celsius=29", "--json")
    assert json.loads(said)["target"] == 29
    assert until(lambda: home.heater() == b"1\n")
    status, said = owner("call", "set_target", "celsius=90")
    assert status == 1
    assert "celsius" in said

    def temperature() -> int:
        return owner("call", "temperature", "--json")[0]

    supervisor = int(status_of(home)["supervisor_pid"])
    os.kill(supervisor, signal.SIGSTOP)  # which would start it again before anybody looks
    os.kill(app_process(home), signal.SIGKILL)
    assert until(lambda: home.heater() == b"0\n")  # the guard's work
    os.kill(supervisor, signal.SIGCONT)
    assert until(lambda: temperature() == 0)  # started again
    assert until(lambda: home.heater() == b"1\n")  # and at its work again

    home.process.send_signal(signal.SIGTERM)
    home.process.communicate(timeout=150)
    assert home.heater() == b"0\n"
    status, said = owner("status")
    assert status == 3
    assert "cannot reach the device" in said
