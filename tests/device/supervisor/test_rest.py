"""A role at rest: no process while nobody asks, and no request is lost for it."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
from tests.device.workshop import STOP_SECONDS, Running, make_device, running, seal, until

from limpet.device.supervisor.button import press_button

pytestmark = pytest.mark.end_to_end


def _device(directory: Path, rests_after: float) -> Path:
    """A device whose keeper rests after so many idle seconds, however new it is."""
    root = make_device(directory / "d")
    for role in ("keeper", "updater"):
        (root / role).mkdir(mode=0o700)
    (root / "keeper" / "rests-after").write_text(str(rests_after))
    (root / "updater" / "enrolled").write_text("0")
    _replace(root, "LEAST_REST_SECONDS = 10.0", "LEAST_REST_SECONDS = 0.0")
    return root


def _replace(root: Path, old: str, new: str) -> None:
    file = root / "slots/a/runtime/limpet/device/supervisor/_policy.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    seal(root)


def _rested(device: Running) -> None:
    until(lambda: device.state_of("keeper") == "resting", "it does not rest", device)
    with pytest.raises(AssertionError, match="no process"):
        device.pid_of("keeper")


def _asked(device: Running) -> int:
    """How often `keeper` answered `updater`."""
    return int((device.root / "updater" / "enrolled").read_text() or 0)


def _ask(device: Running, times: int = 1) -> None:
    order = device.root / "updater" / "enroll"
    order.with_suffix(".new").write_text(str(times))
    order.with_suffix(".new").rename(order)


def test_a_role_at_rest_is_started_by_the_first_request_which_is_answered(tmp_path: Path) -> None:
    root = _device(tmp_path, 5.0)  # so long that the test sees it awake
    with running(root) as device:
        for _ in range(2):
            _rested(device)
            before = len(device.processes())
            _ask(device)
            until(lambda: _asked(device) == 1, "the request was lost", device)
            assert device.state_of("keeper") == "running"
            assert len(device.processes()) == before + 1
            (device.root / "updater" / "enrolled").write_text("0")
        assert not device.has_logged("role-ended")
        assert not device.has_logged("violation")


def test_requests_at_the_very_moment_of_resting_are_all_answered(tmp_path: Path) -> None:
    root = _device(tmp_path, 0.02)
    with running(root) as device:
        keepers: set[int] = set()
        for times in range(24, 24 * 10, 24):

            def is_done(times: int = times) -> bool:
                with contextlib.suppress(AssertionError):  # it rests just now
                    keepers.add(device.pid_of("keeper"))
                return _asked(device) == times

            _ask(device, times=24)  # 0.2 s apart, so that each may meet an end
            until(is_done, "a request was lost", device)
            if len(keepers) > 2:
                break
        assert len(keepers) > 2, "it hardly ever rested"
        assert not device.has_logged("role-ended")


@pytest.mark.parametrize("how", ["killed", "attacked"])
def test_a_role_at_rest_is_reached_by_a_peer_that_was_restarted(how: str, tmp_path: Path) -> None:
    root = _device(tmp_path, 0.3)
    with running(root) as device:
        _rested(device)
        old = device.pid_of("updater")
        os.kill(old, signal.SIGKILL)
        until(lambda: device.find_pid("updater") not in (0, old), "no new updater", device)
        time.sleep(0.5)
        assert device.state_of("keeper") == "resting", "the end of a peer woke it"
        if how == "attacked":  # while it is awake
            (root / "keeper" / "rests-after").write_text("600")
            _ask(device)
            until(lambda: device.state_of("keeper") == "running", "not woken", device)
            (root / "keeper" / "rests-after").write_text("0.3")
            os.kill(device.pid_of("keeper"), signal.SIGKILL)
            until(lambda: device.has_logged("role-ended", "keeper"), "not noticed", device)
            until(lambda: device.state_of("keeper") != "stopped", "not back", device)
        (device.root / "updater" / "enrolled").write_text("0")
        _ask(device)
        until(lambda: _asked(device) == 1, "the request was lost", device)


def test_the_button_wakes_accounts_which_hear_of_it(tmp_path: Path) -> None:
    root = _device(tmp_path, 0.3)
    (root / "accounts").mkdir(mode=0o700)
    (root / "accounts" / "rests-after").write_text("0.3")
    with running(root) as device:
        for times in (1, 2):
            until(lambda: device.state_of("accounts") == "resting", "no rest", device)
            press_button(root)
            until(
                lambda times=times: device.has_logged("press-heard", times=times),
                "the press was lost",
                device,
            )
        assert not device.has_logged("role-ended")


def test_a_device_with_a_role_at_rest_stops_as_any(tmp_path: Path) -> None:
    root = _device(tmp_path, 0.3)
    with running(root) as device:
        _rested(device)
        device.boot.terminate()
        assert device.boot.wait(STOP_SECONDS) == 0  # or for ever


def test_a_role_that_only_just_started_may_not_rest_yet(tmp_path: Path) -> None:
    root = _device(tmp_path, 0.1)
    _replace(root, "LEAST_REST_SECONDS = 0.0", "LEAST_REST_SECONDS = 600.0")
    with running(root) as device:
        _ask(device, times=3)
        until(lambda: _asked(device) == 3, "not answered while it is refused", device)
        time.sleep(1.5)
        assert device.state_of("keeper") == "running"
