"""Roles that a service manager started: the device comes up, mends itself, admits no stranger."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from tests.device.workshop import SRC, Running, make_device, processes_of, running, until

from limpet.device.confine import NETWORKED
from limpet.device.enclosure import SERVING, Enclosure, Place
from limpet.device.enclosure.users import Users, find_users
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.device.supervisor._enclosures import enclosure_of
from limpet.firmware.slots import BOOT_FILE, load_boot_state, save_boot_state
from limpet.firmware.tree import digest_tree

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root gives roles ids of their own"),
]

MANAGER = Path(__file__).with_name("manager.py")


def _users(root: Path) -> Users:
    users = find_users(root, first=None)
    assert users is not None
    return users


def _units(root: Path) -> dict[str, Enclosure]:
    """What the manager gives each role, as its unit says: and the supervisor's socket."""
    users, found = _users(root), {}
    for role in SERVING:
        wanted = enclosure_of(Start(role=Role(role), root=root, slot="a"), users, calls_out=False)
        places = (*wanted.places, Place(str(root / "run"), writable=True))
        found[role] = msgspec.structs.replace(wanted, places=places)
    return found


@contextmanager
def managed(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    # `run` must be there before the manager shows it to the roles.
    (root / "run").mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile() as file:
        file.write(msgspec.json.encode(_units(root)))
        file.flush()
        environment = {"PYTHONPATH": str(SRC.parent), "PATH": os.environ["PATH"]}
        command = [sys.executable, "-B", str(MANAGER), str(root), file.name]
        process = subprocess.Popen(command, env=environment)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Running]:
    root = make_device(tmp_path / "d")
    for role in SERVING:
        (root / role).mkdir()
    with running(root, "--roles", "attach", wait=False) as device, managed(root):
        until(lambda: device.has_logged("running"), "the device did not start", device)
        yield device
    assert processes_of(root) == []


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_the_device_comes_up_with_every_role_as_its_user(device: Running) -> None:
    users = _users(device.root)
    status = json.loads((device.root / "run" / "status.json").read_text())
    assert {one["role"] for one in status["roles"]} == set(SERVING)
    for one in status["roles"]:
        assert _status(one["pid"])["Uid"].split() == [str(users[one["role"]].uid)] * 4
        assert _status(one["pid"])["PPid"] != str(device.pid_of("supervisor"))
        held = {found["mechanism"]: found["in_force"] for found in one["confinement"]}
        assert all(held.values()), held
        assert "user-id" in held
        assert ("network-namespace" in held) == (Role(one["role"]) not in NETWORKED)


def test_boot_and_supervisor_then_keep_four_capabilities(device: Running) -> None:
    for pid in (device.boot.pid, device.pid_of("supervisor")):
        assert int(_status(pid)["CapEff"], 16) & ~0b101011 == 0


def test_a_role_that_dies_is_started_by_the_manager_and_linked_again(device: Running) -> None:
    answers = device.root / "updater" / "answers"
    for role in SERVING:
        before = device.pid_of(role)
        os.kill(before, signal.SIGKILL)
        until(lambda role=role, old=before: device.find_pid(role) not in (0, old), role, device)
    until(lambda: device.has_logged("role-ended", times=5), "not all were noticed", device)
    counted = int(answers.read_text()) if answers.exists() else 0
    until(lambda: int(answers.read_text() or 0) > counted + 5, "no link came back", device)


def test_a_supervisor_that_dies_finds_its_roles_again(device: Running) -> None:
    os.kill(device.pid_of("supervisor"), signal.SIGKILL)
    until(lambda: device.has_logged("running", times=2), "it did not come back", device)


def test_a_forged_request_ends_the_attacker_here_too(device: Running) -> None:
    attacker = device.pid_of("gateway")
    (device.root / "gateway" / "attack").touch()
    said = "gateway sent MintClaimCode to accounts"
    until(lambda: device.has_logged("violation", said), "it was not noticed", device)
    until(lambda: device.find_pid("gateway") not in (0, attacker), "it was not ended", device)


def _come(root: Path, uid: int) -> bytes:
    """What the supervisor sends to a process of the user `uid` that comes to its socket."""
    program = (
        "import os, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(10)\n"
        "os.chdir(sys.argv[1])\n"
        f"os.setresgid({uid}, {uid}, {uid}); os.setresuid({uid}, {uid}, {uid})\n"
        "s.connect('attach.sock'); sys.stdout.buffer.write(s.recv(65536))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(root / "run")], capture_output=True, timeout=150
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("uid", [0, 65534])
def test_a_stranger_gets_nothing_from_the_supervisor(uid: int, device: Running) -> None:
    assert _come(device.root, uid) == b""
    until(lambda: device.has_logged("turned-away", f"of user {uid}"), "not logged", device)


def test_a_second_process_of_a_role_does_not_take_its_links(device: Running) -> None:
    """It waits until the supervisor wants the role again; what runs is not disturbed."""
    before = device.pid_of("keeper")
    uid = _users(device.root)["keeper"].uid
    with pytest.raises(AssertionError, match="TimeoutError"):
        _come(device.root, uid)
    assert device.pid_of("keeper") == before
    assert os.path.exists(f"/proc/{before}")


def test_a_role_that_the_manager_does_not_start_is_named_and_boot_decides(tmp_path: Path) -> None:
    root = make_device(tmp_path / "d")
    slot = root / "slots" / "a"
    door = slot / "runtime" / "limpet" / "device" / "supervisor" / "_door.py"
    impatient = door.read_text().replace("ARRIVAL_SECONDS = 60.0", "ARRIVAL_SECONDS = 0.5")
    door.write_text(impatient)
    record = root / "slots" / BOOT_FILE
    state = load_boot_state(record)
    assert state.a is not None
    changed = msgspec.structs.replace(state.a, tree_sha256=digest_tree(slot))
    save_boot_state(record, msgspec.structs.replace(state, a=changed))
    with running(root, "--roles", "attach", wait=False) as device:
        said = "keeper: the service manager does not start it"
        until(lambda: device.has_logged("role-given-up", said), "it waits for ever", device)
        until(lambda: device.has_logged("supervisor-ended"), "boot was not told", device)


def test_attaching_without_a_supervisor_is_one_clear_line(tmp_path: Path) -> None:
    program = (
        "import limpet.device.attach._main as a; a.SUPERVISOR_SECONDS = 0.3; "
        "import sys; sys.argv = ['attach', 'keeper', sys.argv[1]]; a.main()"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program, str(tmp_path)], capture_output=True, text=True,
        env={"PYTHONPATH": str(SRC.parent)}, timeout=30,
    )  # fmt: skip
    assert done.returncode == 3
    assert "no supervisor listens at" in done.stderr
    assert "Traceback" not in done.stderr
