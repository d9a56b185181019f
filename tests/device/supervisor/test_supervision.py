"""The supervisor, with real processes: deaths, hangs, violations, crashes, and its files."""

import json
import os
import signal
import stat
import time
from itertools import pairwise
from pathlib import Path

import pytest
from tests.device.workshop import (
    ROLES,
    Running,
    lacking_here,
    make_device,
    missing_in,
    running,
    seal,
    until,
)

from limpet.device.supervisor._policy import FIRST_DELAY, ORDER

pytestmark = pytest.mark.end_to_end


def _answers(device: Running) -> int:
    """How often `app` answered `updater`, which may not have begun to count."""
    file = device.root / "updater" / "answers"
    return int(file.read_text() or 0) if file.exists() else 0


def _goes_on(device: Running) -> bool:
    before = _answers(device)
    time.sleep(0.2)
    return _answers(device) > before + 2


@pytest.mark.parametrize("victim", ["app", "updater"])
def test_a_killed_role_is_restarted_alone_and_reached_again(victim: str, tmp_path: Path) -> None:
    with running(make_device(tmp_path / "d")) as device:
        until(lambda: _goes_on(device), "app does not answer updater", device)
        others = set(device.processes()) - {device.pid_of(victim)}
        os.kill(device.pid_of(victim), signal.SIGKILL)
        until(lambda: device.has_logged("role-ended", victim), "nobody noticed", device)
        until(lambda: _goes_on(device), f"{victim} is not reached again", device)
        assert others < set(device.processes())


def _impatient(root: Path) -> Path:
    """The device with a supervisor that pings within fractions of a second."""
    file = root / "slots/a/runtime/limpet/device/supervisor/_supervision.py"
    patient = "PING_SECONDS, PING_ANSWER_SECONDS, SILENT_PINGS = 5.0, 10.0, 2"
    code = file.read_text()
    assert patient in code
    file.write_text(code.replace(patient, patient.replace("5.0, 10.0", "0.2, 0.5")))
    seal(root)
    return root


def test_a_role_that_hangs_is_ended_and_restarted(tmp_path: Path) -> None:
    with running(_impatient(make_device(tmp_path / "d"))) as device:
        victim = device.pid_of("accounts")
        os.kill(victim, signal.SIGSTOP)
        until(lambda: device.has_logged("role-silent", "accounts"), "nobody noticed", device)
        until(
            lambda: device.find_pid("accounts") not in (0, victim), "it was not restarted", device
        )


def test_each_of_the_roles_may_die_in_turn(tmp_path: Path) -> None:
    with running(make_device(tmp_path / "d")) as device:
        for role in ROLES:
            os.kill(device.pid_of(role), signal.SIGKILL)
            until(lambda role=role: device.has_logged("role-ended", role), role, device)
        until(lambda: len(device.processes()) == len(ROLES) + 2, "not all came back", device)
        until(lambda: _goes_on(device), "the links did not come back", device)


def test_a_forged_request_ends_the_attacker_and_nobody_else(tmp_path: Path) -> None:
    with running(make_device(tmp_path / "d")) as device:
        attacker, victim = device.pid_of("gateway"), device.pid_of("accounts")
        (device.root / "gateway" / "attack").touch()
        said = "gateway sent MintClaimCode to accounts"
        until(lambda: device.has_logged("violation", said), "it was not noticed", device)
        until(lambda: device.find_pid("gateway") not in (0, attacker), "it was not ended", device)
        assert device.pid_of("accounts") == victim


def test_an_app_that_accuses_others_ends_nobody(tmp_path: Path) -> None:
    with running(make_device(tmp_path / "d")) as device:
        others = {role: device.pid_of(role) for role in ROLES}
        order = device.root / "app" / "accuse"
        order.with_suffix(".new").write_text("updater gateway")
        order.with_suffix(".new").rename(order)  # whole, as soon as it is there
        until(lambda: device.has_logged("accused"), "it was not done", device)
        assert device.has_logged("violation", "updater sent CheckHealth to app")
        until(lambda: _goes_on(device), "app does not answer updater", device)
        assert {role: device.pid_of(role) for role in ROLES} == others


def test_the_network_opens_when_the_slowest_role_is_ready_and_not_before(tmp_path: Path) -> None:
    root = make_device(tmp_path / "d")
    for role in ("keeper", "accounts"):
        (root / role).mkdir(mode=0o700)
        (root / role / "slow").touch()
    with running(root, wait=False) as device:
        # The two wait at the same time, not one after the other.
        until(lambda: device.has_logged("slow-begins", times=2), "one waits for another", device)
        for role in ("keeper", "accounts"):
            (root / role / "slow").unlink()
            until(lambda role=role: device.has_logged("slow-ready", role), role, device)
        until(lambda: device.has_logged("listening"), "the network did not open", device)
        events = ("slow-ready", "listening")
        entries = [entry.event for entry in device.log() if entry.event in events]
        assert entries == ["slow-ready", "slow-ready", "listening"]


def test_a_crash_is_one_line_in_the_log_with_its_cause(tmp_path: Path) -> None:
    root = make_device(tmp_path / "d")
    (root / "app").mkdir(mode=0o700)
    (root / "app" / "crash").touch()
    with running(root, wait=False) as device:
        until(lambda: device.has_logged("stderr", "the app has a bug"), "it was lost", device)
        entry = next(e for e in device.log() if "the app has a bug" in e.detail)
        assert (entry.role, entry.level) == ("app", "error")
        assert json.loads(entry.detail)["error"] == "RuntimeError"
        (root / "app" / "crash").unlink()
        until(lambda: device.has_logged("running"), "it did not recover", device)


def test_a_role_that_never_stays_up_ends_the_slot_rather_than_spin(tmp_path: Path) -> None:
    root = make_device(tmp_path / "d")
    (root / "app").mkdir(mode=0o700)
    (root / "app" / "crash").touch()
    with running(root, wait=False) as device:
        until(lambda: device.has_logged("role-ended", "app", times=3), "no restarts", device)
        times = [e.at for e in device.log() if e.event == "role-ended"]
        waits = [(later - sooner).total_seconds() for sooner, later in pairwise(times)]
        delays = [FIRST_DELAY * 2**n for n in range(len(waits))]  # a start takes its time besides
        assert all(wait >= delay for wait, delay in zip(waits, delays, strict=True))


def test_the_outside_sees_where_it_listens_and_how_each_role_is_confined(tmp_path: Path) -> None:
    with running(make_device(tmp_path / "d")) as device:
        run = device.root / "run"
        until(lambda: (run / "listening.json").exists(), "no listening.json", device)
        assert json.loads((run / "listening.json").read_text()) == {
            "host": "127.0.0.1",
            "port": 4711,
        }
        status = json.loads((run / "status.json").read_text())
        assert [role["state"] for role in status["roles"]] == ["running"] * len(ORDER)
        for role in status["roles"]:
            assert {c["mechanism"] for c in role["confinement"]} >= {"landlock", "seccomp"}
            missing = missing_in(role["confinement"])
            assert missing == {name for name, _ in lacking_here()}


def test_a_role_is_confined_by_what_the_kernel_itself_says(tmp_path: Path) -> None:
    with running(make_device(tmp_path / "d")) as device:
        for role in ROLES:
            lines = Path(f"/proc/{device.pid_of(role)}/status").read_text().splitlines()
            seen = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            assert (seen["NoNewPrivs"], seen["Seccomp"]) == ("1", "2")
            assert int(seen["CapEff"], 16) == int(seen["CapPrm"], 16) == 0


def test_the_directories_of_the_roles_are_for_nobody_else(tmp_path: Path) -> None:
    with running(make_device(tmp_path / "d")) as device:
        for role in ROLES:
            assert stat.S_IMODE((device.root / role).stat().st_mode) == 0o700


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root reads the descriptors of confined processes"
)
def test_a_role_inherits_no_descriptor_but_its_links(tmp_path: Path) -> None:
    with running(make_device(tmp_path / "d")) as device:
        for role in ("keeper", "accounts"):
            links = [os.readlink(fd) for fd in Path(f"/proc/{device.pid_of(role)}/fd").iterdir()]
            kinds = {link.split(":")[0] for link in links}
            assert kinds <= {"/dev/null", "pipe", "socket", "anon_inode"}
            assert sum(link == "/dev/null" for link in links) == 2
