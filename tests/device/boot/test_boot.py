"""Boot, with real processes: what is started, what is not, and that nothing is left behind."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.device.workshop import (
    ROLES,
    SRC,
    STOP_SECONDS,
    Running,
    make_device,
    make_slot,
    processes_of,
    running,
    until,
)

from limpet.device.boot._policy import DEFAULT_DEADLINE, decide_deadline
from limpet.device.boot._waiting import decide_delay
from limpet.firmware.slots import (
    BOOT_FILE,
    load_boot_state,
    record_activation,
    record_confirmation,
    save_boot_state,
)

pytestmark = pytest.mark.end_to_end


def _gone(device: Running) -> bool:
    return device.processes() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_device_ends_and_leaves_no_process(
    number: signal.Signals, tmp_path: Path
) -> None:
    with running(make_device(tmp_path / "d")) as device:
        assert len(device.processes()) == len(ROLES) + 2
        device.boot.send_signal(number)
        assert device.boot.wait(STOP_SECONDS) == 0
        until(lambda: _gone(device), "processes outlived boot")


def test_killing_boot_leaves_no_process(tmp_path: Path) -> None:
    with running(make_device(tmp_path / "d")) as device:
        os.kill(device.boot.pid, signal.SIGKILL)
        until(lambda: _gone(device), "processes outlived boot")


def test_killing_boot_and_supervisor_at_once_leaves_no_process(tmp_path: Path) -> None:
    with running(make_device(tmp_path / "d")) as device:
        supervisor = device.pid_of("supervisor")
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(device.boot.pid, signal.SIGKILL)
        os.kill(supervisor, signal.SIGKILL)
        until(lambda: _gone(device), "processes outlived boot and supervisor")


def test_a_role_that_hangs_dies_with_its_supervisor(tmp_path: Path) -> None:
    with running(make_device(tmp_path / "d")) as device:
        os.kill(device.pid_of("keeper"), signal.SIGSTOP)
        os.kill(device.boot.pid, signal.SIGKILL)
        until(lambda: _gone(device), "a stopped role outlived the device")


def test_a_supervisor_that_hangs_does_not_hold_a_stop_up(tmp_path: Path) -> None:
    with running(make_device(tmp_path / "d")) as device:
        os.kill(device.pid_of("supervisor"), signal.SIGSTOP)
        device.boot.terminate()
        device.boot.wait(STOP_SECONDS)  # it would hang for ever
        until(lambda: _gone(device), "processes outlived boot")


def test_a_killed_supervisor_is_started_again_and_its_roles_do_not_linger(tmp_path: Path) -> None:
    with running(make_device(tmp_path / "d")) as device:
        before = device.processes()
        os.kill(device.pid_of("supervisor"), signal.SIGKILL)
        until(lambda: device.has_logged("running", times=2), "it did not come back", device)
        assert set(before) & set(device.processes()) == {device.boot.pid}


def _choosing(root: Path) -> list[int]:
    """Processes that decide for the boot of the device at `root`."""
    found = []
    for pid in processes_of(root):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"limpet.device.boot.choosing" in words and b"_waiting.py" not in words[3]:
                found.append(pid)
    return found


def _state(pid: int) -> str:
    """T for one that was stopped; nothing for one that is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


@contextlib.contextmanager
def _stopped_choice(place: Path) -> Iterator[tuple[Running, int]]:
    """A device that boot has started, and the process of its first choice, which hangs.

    A choice that was made before it could be stopped is let go.
    """
    for number in range(20):
        with running(make_device(place / f"d{number}"), wait=False) as device:
            until(lambda device=device: bool(_choosing(device.root)), "nothing is chosen", device)
            for pid in _choosing(device.root):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
                until(lambda pid=pid: _state(pid) in ("T", "", "Z"), "it does not stop")
                if _state(pid) == "T" and not device.has_logged("starting"):
                    yield device, pid
                    return
    pytest.fail("every choice was made before it could be stopped")


def test_a_choice_that_hangs_does_not_hold_a_stop_up(tmp_path: Path) -> None:
    with _stopped_choice(tmp_path) as (device, _):
        device.boot.terminate()
        assert device.boot.wait(STOP_SECONDS) == 0
        until(lambda: _gone(device), "processes outlived boot")


def test_a_choice_that_was_killed_starts_nothing(tmp_path: Path) -> None:
    with _stopped_choice(tmp_path) as (device, pid):
        os.kill(pid, signal.SIGKILL)
        assert device.boot.wait(STOP_SECONDS) == 1
        assert not device.has_logged("starting")
        until(lambda: _gone(device), "processes outlived boot")


def test_boot_that_waits_holds_its_locks_and_nothing_else_that_its_starter_had_open(
    tmp_path: Path,
) -> None:
    root = make_device(tmp_path / "d")
    stray = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(stray, True)
    command = [sys.executable, "-m", "limpet.device.boot", str(root)]
    environment = {**os.environ, "PYTHONPATH": str(SRC.parent)}
    boot = subprocess.Popen(command, env=environment, close_fds=False)
    try:
        device = Running(root, lambda: boot)
        until(lambda: device.has_logged("running"), "it does not run", device)
        until(lambda: _state(boot.pid) == "S", "it does not wait", device)
        open_files = {
            os.readlink(f"/proc/{boot.pid}/fd/{name}")
            for name in os.listdir(f"/proc/{boot.pid}/fd")
            if int(name) > 2
        }
        assert f"{root}/run/boot.lock" in open_files
        assert all(name.endswith("boot.lock") or "/user-" in name for name in open_files)
    finally:
        os.close(stray)
        boot.terminate()
        boot.wait(STOP_SECONDS)


def test_boot_ends_with_its_parent_also_when_it_has_become_the_program_that_waits(
    tmp_path: Path,
) -> None:
    root = make_device(tmp_path / "d")
    starter = (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-m', 'limpet.device.boot', sys.argv[1],"
        " '--end-with-parent']).wait()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SRC.parent)}
    parent = subprocess.Popen([sys.executable, "-c", starter, str(root)], env=environment)
    device = Running(root, lambda: parent)
    until(lambda: device.has_logged("running"), "it does not run", device)
    parent.kill()
    parent.wait()
    until(lambda: _gone(device), "boot outlived its parent")


def test_boot_that_waits_costs_little_more_than_a_bare_python(tmp_path: Path) -> None:
    program = "import time; print(flush=True); time.sleep(60)"
    command = [sys.executable, "-I", "-S", "-c", program]
    with (
        running(make_device(tmp_path / "d")) as device,
        subprocess.Popen(command, stdout=subprocess.PIPE) as bare,
    ):
        assert bare.stdout is not None
        bare.stdout.readline()
        ours, theirs = _own_kib(device.boot.pid), _own_kib(bare.pid)
        bare.kill()
    assert ours < 1.6 * theirs


def _own_kib(pid: int) -> int:
    """Memory that the process alone has written."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))


def test_one_device_is_never_run_twice(tmp_path: Path) -> None:
    with running(make_device(tmp_path / "d")) as device:
        second = _run_boot(device.root)
        assert second.returncode == 3
        assert f"is running already (process {device.boot.pid})" in second.stderr
        assert len(second.stderr.splitlines()) == 1


def _run_boot(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limpet.device.boot", str(root), *options]
    environment = {**os.environ, "PYTHONPATH": str(SRC.parent)}
    return subprocess.run(command, capture_output=True, text=True, timeout=150, env=environment)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--listen", "here"), "is no address"),
        (("--listen", "127.0.0.1:99999"), "is no address"),
        (("--resolve", "vendor.example:443"), "names no address"),
    ],
)
def test_a_wrong_address_is_one_clear_line(
    option: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = _run_boot(make_device(tmp_path / "d"), *option)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_is_no_device_is_one_clear_line(tmp_path: Path) -> None:
    done = _run_boot(tmp_path)
    assert done.returncode == 3
    assert "is no device directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_device_that_the_factory_did_not_finish_does_not_run(tmp_path: Path) -> None:
    root = make_device(tmp_path / "d")
    (root / "identity.json").unlink()
    done = _run_boot(root)
    assert done.returncode == 1
    assert "the factory did not finish it" in done.stderr


def _second_slot(root: Path, version: str, *, confirmed: bool) -> None:
    """Slot b holds `version`: on trial, or confirmed with slot a as its spare."""
    path = root / "slots" / BOOT_FILE
    state = record_activation(
        load_boot_state(path), "b", make_slot(root / "slots" / "b", version=version)
    )
    save_boot_state(path, record_confirmation(state) if confirmed else state)


def test_a_slot_whose_tree_was_changed_is_not_started_and_the_other_is(tmp_path: Path) -> None:
    root = make_device(tmp_path / "d")
    _second_slot(root, "3.0.0", confirmed=True)
    (root / "slots" / "b" / "runtime" / "limpet" / "errors.py").write_text("# taken\n")
    with running(root) as device:
        assert device.has_logged("tampered-tree", "slot b")
        assert device.state.good == "a"


def test_a_device_with_no_sound_slot_says_so_and_starts_nothing(tmp_path: Path) -> None:
    root = make_device(tmp_path / "d")
    (root / "slots" / "a" / "firmware.json").write_text("{}")
    done = _run_boot(root)
    assert done.returncode == 1
    assert "no slot holds firmware that may run" in done.stderr


def test_a_missing_slot_is_damage_too(tmp_path: Path) -> None:
    root = make_device(tmp_path / "d")
    _second_slot(root, "3.0.0", confirmed=True)
    shutil.rmtree(root / "slots" / "b")
    with running(root) as device:
        assert device.state.good == "a"


def test_a_trial_that_is_confirmed_stays(tmp_path: Path) -> None:
    root = make_device(tmp_path / "d")
    _second_slot(root, "3.0.0", confirmed=False)
    with running(root, "--trial-deadline", "120") as device:
        until(lambda: device.state.good == "b", "the trial was not confirmed", device)
        assert device.state.trial is None


def test_a_trial_that_is_not_confirmed_is_ended_and_the_old_firmware_comes_back(
    tmp_path: Path,
) -> None:
    root = make_device(tmp_path / "d")
    _second_slot(root, "2.0.0", confirmed=False)
    with running(root, "--trial-deadline", "2", wait=False) as device:
        until(lambda: device.has_logged("fell-back"), "it did not fall back", device)
        until(lambda: device.has_logged("running", "slot a"), "slot a did not start", device)
        assert device.has_logged("trial-ended", times=2)  # as many as it has tries
        failure = device.state.failure
        assert failure is not None
        assert failure.version == "2.0.0"


def test_a_try_is_spent_before_the_slot_runs(tmp_path: Path) -> None:
    """Cut off during its first start, a trial has one try less: no endless loop of cuts."""
    root = make_device(tmp_path / "d")
    _second_slot(root, "2.0.0", confirmed=False)
    with running(root, "--trial-deadline", "60", wait=False) as device:
        until(lambda: device.has_logged("starting", "slot b"), "no start", device)
        os.kill(device.boot.pid, signal.SIGKILL)
        trial = device.state.trial
        assert trial is not None
        assert trial.tries_left == 1


def test_an_activation_by_the_updater_restarts_the_device_into_the_new_slot(
    tmp_path: Path,
) -> None:
    root = make_device(tmp_path / "d")
    with running(root) as device:
        record = make_slot(root / "updater" / "staging" / "b", version="3.0.0")
        order = {"slot": "b", **msgspec.to_builtins(record)}
        order.pop("confirmed", None)
        (root / "updater" / "activate.part").write_text(json.dumps(order))
        (root / "updater" / "activate.part").rename(root / "updater" / "activate")
        until(lambda: device.state.good == "b", "slot b was not confirmed", device)
        assert device.has_logged("activate-answered", "Done")
        until(lambda: device.has_logged("running", "slot b"), "slot b does not run", device)


def test_the_waits_between_crashes_grow_to_a_bound_and_start_afresh() -> None:
    crashes, delays = 0, []
    for _ in range(12):
        crashes, delay = decide_delay(crashes, lived=1)
        delays.append(delay)
    assert delays[:4] == [0.5, 1, 2, 4]
    assert max(delays) == 30
    assert decide_delay(12, lived=100) == (1, 0.5)


def test_the_deadline_of_a_trial_is_the_design_files_unless_boot_was_told(tmp_path: Path) -> None:
    make_slot(tmp_path / "a")
    assert decide_deadline(7.5, tmp_path / "a") == 7.5
    assert decide_deadline(None, tmp_path / "nothing") == DEFAULT_DEADLINE
    assert decide_deadline(None, tmp_path / "a") == 60


def test_a_design_file_of_a_later_limpet_still_says_its_deadline_to_an_old_boot(
    tmp_path: Path,
) -> None:
    design = tmp_path / "product.toml"
    design.write_text('[invented-later]\nword = "x"\n[update]\nhealth_deadline_seconds = 33\n')
    assert decide_deadline(None, tmp_path) == 33
    for nonsense in ("", "[", "update = 3", "[update]\nhealth_deadline_seconds = true",
                     "[update]\nhealth_deadline_seconds = 10000000",
                     "[update]\nhealth_deadline_seconds = 0", "x = " + "[" * 5000):  # fmt: skip
        design.write_text(nonsense)
        assert decide_deadline(None, tmp_path) == DEFAULT_DEADLINE
