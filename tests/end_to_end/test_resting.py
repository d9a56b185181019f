"""A whole device whose keeper and updater rest: what they are for still happens."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.device.workshop import seal
from tests.end_to_end.living_device import Living, Owner, living_device

from limpet.device.accounts.rest import IDLE_SECONDS as ACCOUNTS_IDLE_SECONDS
from limpet.device.link.bus import IDLE_SECONDS
from limpet.device.supervisor.button import press_button

pytestmark = [pytest.mark.slow, pytest.mark.end_to_end, pytest.mark.timeout(900)]

RESTING = ("keeper", "updater")
SHORT_IDLE_SECONDS = 15.0
PATIENCE = IDLE_SECONDS + 180.0  # the machine is shared


@pytest.fixture
def living(tmp_path: Path) -> Iterator[Living]:
    with living_device(tmp_path) as device:
        yield device


def _until(condition: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, otherwise
        time.sleep(0.1)


def test_keeper_and_updater_rest_and_come_when_they_are_needed(living: Living) -> None:
    owner, device = Owner(living), living.device
    owner.claim()
    _until(lambda: all(device.state_of(role) == "resting" for role in RESTING), "they do not rest")
    assert living.pids().keys() == {"supervisor", "accounts", "app", "gateway", "announcer"}

    # The owner asks how updates stand: the updater comes, the keeper does not.
    begun = time.monotonic()
    status, update = owner.ask("GET", "/v1/update")
    print(f"an answer of a resting role after {time.monotonic() - begun:.2f} s")
    assert (status, update["running"], update["state"]) == (200, "1.0.0", "idle")
    assert device.state_of("updater") == "running"
    assert device.state_of("keeper") == "resting"
    assert owner.ask("POST", "/v1/update/check")[0] == 204

    # The gateway loses its certificate: it asks the updater, which asks the keeper.
    (device.root / "gateway" / "ldevid.pem").unlink()
    enrolled = sum(entry.event == "enrolled" for entry in device.log())
    os.kill(device.pid_of("gateway"), signal.SIGKILL)
    _until(lambda: device.has_logged("enrolled", times=enrolled + 1), "it was not enrolled")
    assert device.state_of("keeper") == "running"
    owner.hang_up()
    assert owner.ask("GET", "/v1/identity")[0] == 200

    _until(lambda: all(device.state_of(role) == "resting" for role in RESTING), "not again")
    assert not device.has_logged("violation")
    assert [entry.detail for entry in device.log() if entry.event == "role-ended"] == [
        "gateway: exit status -9"
    ]


def _let_accounts_rest_soon(living: Living) -> None:
    """Another number in the device's own code, sealed again: five minutes are long for a test."""
    device = living.device
    device.boot.terminate()
    device.boot.wait(30)
    code = device.root / "slots" / "a" / "runtime" / "limpet" / "device" / "accounts" / "rest.py"
    patient = f"IDLE_SECONDS = {ACCOUNTS_IDLE_SECONDS}"
    assert code.read_text().count(patient) == 1
    code.write_text(code.read_text().replace(patient, f"IDLE_SECONDS = {SHORT_IDLE_SECONDS}"))
    seal(device.root)
    device.start_again()
    _until(lambda: device.has_logged("running", times=3), "it does not start again")


def test_accounts_rest_when_nobody_asks_and_a_token_and_the_button_bring_them_back(
    living: Living,
) -> None:
    owner, device = Owner(living), living.device
    owner.claim()
    owner.hang_up()
    _let_accounts_rest_soon(living)
    _until(lambda: device.state_of("accounts") == "resting", "no rest")
    assert (device.root / "accounts" / "rest.json").exists()

    begun = time.monotonic()
    status, _ = owner.ask("GET", "/v1/functions/temperature")
    print(f"an answer of resting accounts after {time.monotonic() - begun:.2f} s")
    assert status == 200
    assert device.state_of("accounts") == "running"
    assert not (device.root / "accounts" / "rest.json").exists()  # used once

    _until(lambda: device.state_of("accounts") == "resting", "not again")
    press_button(device.root)
    _until(lambda: device.state_of("accounts") == "running", "the button does not wake them")
    assert not device.has_logged("violation")
    assert not device.has_logged("role-ended")
