"""The commands as a person runs them: real processes, one clear line for what is wrong."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests import commands
from tests.vendor.workshop import HOST, PRODUCT, make_release

from limpet.cli.main import run
from limpet.crypto.tls import client_context
from limpet.https.client import HttpsClient
from limpet.vendor.home import Home
from limpet.vendor.repository import Repository

pytestmark = pytest.mark.end_to_end
LIMPET = [sys.executable, "-m", "limpet"]


def limpet(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return commands.limpet(*arguments, env={**os.environ, **environment})


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("limpet: error: ")
    return done.stderr


@contextlib.contextmanager
def serving(home: Home) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [*LIMPET, "vendor", "serve", str(home.root), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on https://127.0.0.1:"), line
        yield process, int(line.rsplit(":", 1)[1])
    finally:
        process.kill()
        process.communicate(timeout=60)


def test_a_vendor_is_made_and_never_made_over(tmp_path: Path) -> None:
    made = limpet("vendor", "init", tmp_path / "v", "--product", PRODUCT, "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["model"] == "thermostat"
    key = (tmp_path / "v" / "offline" / "tuf-root.pem").read_bytes()
    assert "not empty" in complaint(limpet("vendor", "init", tmp_path / "v", "--product", PRODUCT))
    assert (tmp_path / "v" / "offline" / "tuf-root.pem").read_bytes() == key


def test_an_empty_passphrase_is_no_passphrase(tmp_path: Path) -> None:
    arguments = (
        "vendor",
        "init",
        tmp_path / "v",
        "--product",
        PRODUCT,
        "--passphrase-env",
        "WORDS",
    )
    assert "WORDS" in complaint(limpet(*arguments, WORDS=""))
    assert not (tmp_path / "v").exists()


def test_the_service_answers_and_ends_cleanly_on_sigterm(home: Home) -> None:
    with serving(home) as (process, port):
        tls = client_context(roots_pem=(home.trust / "service-root.pem").read_bytes())
        client = HttpsClient(f"https://{HOST}:{port}", tls=tls)
        assert client.get("/", max_bytes=90_000).status == 200
        deadline = time.monotonic() + 120
        while not (home.public / "pages" / "security.html").exists():  # the static copy
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert (output, errors) == ("", "")


def test_a_busy_port_gives_one_clear_line(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = limpet("vendor", "serve", home.root, "--listen", f"127.0.0.1:{port}")
    assert f"port {port}" in complaint(done)
    assert done.returncode == 3


@pytest.mark.parametrize("listen", ["8443", "127.0.0.1:x", "127.0.0.1:99999", ":1", "127.0.0.1:-1"])
def test_a_bad_address_gives_one_clear_line(
    home: Home, listen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["vendor", "serve", str(home.root), "--listen", listen]) == 1
    assert capsys.readouterr().err.startswith("limpet: error: ")


def test_a_missing_or_damaged_vendor_gives_one_clear_line(home: Home, tmp_path: Path) -> None:
    for command in (("vendor", "serve"), ("vendor", "fleet")):
        assert "vendor init" in complaint(limpet(*command, tmp_path / "nothing"))
    home.database.write_bytes(b"garbage" * 1000)
    assert "backup" in complaint(limpet("vendor", "serve", home.root))
    assert "backup" in complaint(limpet("rollout", "status", "--vendor", home.root))


def test_rollouts_are_steered_beside_the_running_service(home: Home, tmp_path: Path) -> None:
    Repository(home, lambda: datetime.now(UTC)).add_release(make_release(home, tmp_path))

    def rollout(*arguments: str) -> Any:
        done = limpet("rollout", *arguments, "--vendor", home.root, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    with serving(home):
        assert rollout("ring", "lab", "TH-IN-ITS-BOX", "--rank", "1") == [
            {"name": "lab", "serials": ["TH-IN-ITS-BOX"]}
        ]
        joined = limpet("rollout", "ring", "lab", "TH-MISTYPED", "--vendor", home.root)
        assert "TH-MISTYPED has never called" in joined.stderr
        assert rollout("ring", "lab", "--remove") == rollout("rings") == []
        bad = ("--tolerable", "3", "--intolerable", "2")
        refused = limpet("rollout", "start", "1.1.0", "--vendor", home.root, *bad)
        assert "0 < tolerable < intolerable" in complaint(refused)
        started = rollout("start", "1.1.0", "--steps", "0.5,50,100", "--wait", "3600")
        assert (started["state"], started["admitted_ppm"]) == ("running", 5000)
        assert rollout("pause", "--reason", "lunch")["state"] == "paused"
        assert rollout("resume")["state"] == "running"
        assert rollout("withdraw", "1.1.0")["state"] == "withdrawn"
        again = limpet("rollout", "start", "1.1.0", "--vendor", home.root)
        assert "withdrawn" in complaint(again)
    assert rollout("status")["state"] == "withdrawn"


@pytest.mark.parametrize(
    "steps", ["", "x", "50", "50,20,100", "0,100", "101", "nan", "1e999", "1.00001,100"]
)
def test_bad_steps_give_one_clear_line(
    home: Home, tmp_path: Path, steps: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Repository(home, lambda: datetime.now(UTC)).add_release(make_release(home, tmp_path))
    arguments = ["rollout", "start", "1.1.0", "--vendor", str(home.root), "--steps", steps]
    assert run(arguments) == 1
    assert capsys.readouterr().err.startswith("limpet: error: ")


def test_a_device_is_blocked_and_shown_so(home: Home) -> None:
    assert limpet("vendor", "block", home.root, "TH-0001", "--reason", "lost").returncode == 0
    shown = json.loads(limpet("vendor", "fleet", home.root, "--json").stdout)
    assert [(device["serial"], device["blocked"]) for device in shown] == [("TH-0001", True)]
    assert "blocked" in limpet("vendor", "fleet", home.root).stdout
    assert limpet("vendor", "unblock", home.root, "TH-0001").returncode == 0
    assert not json.loads(limpet("vendor", "fleet", home.root, "--json").stdout)[0]["blocked"]


def test_renewal_needs_the_drawer(home: Home, tmp_path: Path) -> None:
    home.offline.rename(tmp_path / "drawer")
    assert "tuf-root" in complaint(limpet("vendor", "renew", home.root))
    done = limpet("vendor", "renew", home.root, "--offline", tmp_path / "drawer")
    assert done.returncode == 0, done.stderr
