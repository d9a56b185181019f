"""R2.1, R2.2: a whole device changes hands: by its button, by a transfer, by a reset."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.device.workshop import until
from tests.end_to_end.living_device import PASSWORD, Living, Owner, living_device

from limpet.errors import LimpetError

pytestmark = [pytest.mark.end_to_end, pytest.mark.slow]

OTHER_PASSWORD = "seven quiet lanterns burn"


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    with living_device(tmp_path_factory.mktemp("device")) as device:
        yield device


def press(living: Living) -> None:
    """As a person does from the device's own side."""
    before = sum(entry.event == "button-pressed" for entry in living.device.log())
    command = [sys.executable, "-m", "limpet", "device", "button", str(living.device.root)]
    subprocess.run(command, check=True, capture_output=True, timeout=150)
    until(
        lambda: sum(entry.event == "button-pressed" for entry in living.device.log()) > before,
        "nobody felt the button",
        living.device,
    )


def ask_when_up(owner: Owner, method: str, path: str, body: object = None) -> tuple[int, object]:
    """The answer once the device is there again."""
    found: list[tuple[int, object]] = []

    def answered() -> bool:
        with suppress(LimpetError, OSError):
            status, value = owner.ask(method, path, body)
            if status != 503:
                found.append((status, value))
        if not found:
            owner.hang_up()
        return bool(found)

    until(answered, f"{path} does not answer", owner.living.device)
    return found[0]


def test_a_device_goes_from_hand_to_hand(living: Living) -> None:
    grace = Owner(living)
    grace.claim()
    stranger = Owner(living)

    # Without its button the label does nothing; with it, the owner still can object.
    label = {"code": living.code}
    status, refused = stranger.ask("POST", "/v1/takeover", label)
    assert (status, refused["reason"]) == (403, "press-the-button")
    press(living)
    status, begun = stranger.ask("POST", "/v1/takeover", label)
    assert (status, begun) == (202, {"seconds_left": 72 * 3600})
    assert grace.ask("GET", "/v1/ownership")[1]["state"] == "contested"
    assert grace.ask("DELETE", "/v1/takeover")[0] == 204

    # What the product keeps is the owner's: it goes with a transfer that erases.
    kept = living.device.root / "app"
    assert grace.ask("POST", "/v1/functions/set_target", {"celsius": 23})[0] == 200
    status, made = grace.ask("POST", "/v1/transfer", {"password": PASSWORD, "erase": True})
    assert status == 201
    until(lambda: any(kept.iterdir()), "the app keeps nothing", living.device)
    (kept / "mark-of-grace").write_text("x")
    hedy = Owner(living)
    entering = {"code": made["code"], "name": "hedy", "password": OTHER_PASSWORD}
    status, session = hedy.ask("POST", "/v1/transfer/accept", entering)
    assert status == 201
    hedy.token = session["token"]
    until(lambda: living.device.has_logged("data-erased"), "nothing was erased", living.device)
    hedy.hang_up()
    assert ask_when_up(hedy, "GET", "/v1/account")[1]["name"] == "hedy"  # type: ignore[index]
    assert not (kept / "mark-of-grace").exists()
    grace.hang_up()
    assert ask_when_up(grace, "GET", "/v1/functions")[0] == 401

    # After a reset the label is sealed: the fresh code claims, or the label with the button.
    status, fresh = hedy.ask("POST", "/v1/reset", {"password": OTHER_PASSWORD})
    assert status == 200
    until(lambda: living.device.has_logged("data-erased", times=2), "not erased", living.device)
    ada = Owner(living)
    claiming = {"code": living.code, "name": "ada", "password": PASSWORD}
    status, refused = ask_when_up(ada, "POST", "/v1/claim", claiming)  # type: ignore[assignment]
    assert (status, refused["reason"]) == (403, "press-the-button")
    press(living)
    assert ada.ask("POST", "/v1/claim", claiming)[0] == 201
    claiming["code"] = fresh["code"]
    assert ada.ask("POST", "/v1/claim", claiming)[0] == 409


def test_a_button_of_a_device_that_does_not_run_says_so(tmp_path: Path, living: Living) -> None:
    (tmp_path / "identity.json").write_bytes((living.device.root / "identity.json").read_bytes())
    command = [sys.executable, "-m", "limpet", "device", "button", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150)
    assert done.returncode == 3
    assert "is not running" in done.stderr
    assert "Traceback" not in done.stderr
