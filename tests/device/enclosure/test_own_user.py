"""Own user ids, attacked with nothing else in force: code in one role is kept out of the others.

A real device runs, started by root, where everybody may pass; the intruder has the id of a role
and neither Landlock nor seccomp. The same intruder as root can do all of it.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.device.workshop import Running, make_device, running

from limpet.device.enclosure import SERVING, SUPERVISOR, Enclosure
from limpet.device.enclosure.users import Users, find_users

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root gives roles ids of their own"),
]

SRC = Path(__file__).parents[3] / "src"
INTRUDER = Path(__file__).with_name("intruder.py")

OPEN_TO_ALL = {"read identity.json", "read the slot", "see processes", "connect", "start a program"}
"""What ids alone leave: public files, the list of processes, the network, programs."""


@pytest.fixture(scope="module")
def device() -> Iterator[Running]:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)  # the refusals are to come from the device, not from above it
        root = make_device(Path(place) / "d")
        (root / "keystore.toml").write_text('backend = "software"\n')
        for role in SERVING:
            (root / role).mkdir()
            (root / role / "secret").write_text("secret")
        with running(root) as device:
            yield device


@pytest.fixture(scope="module")
def users(device: Running) -> Users:
    found = find_users(device.root, first=None)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def intrude(
    device: Running, into: Enclosure | None, *, victim: int, port: int
) -> dict[str, object]:
    given = msgspec.json.encode(into).decode() if into else "none"
    done = subprocess.run(
        [sys.executable, "-B", str(INTRUDER), given, str(device.root), str(victim), str(port)],
        capture_output=True, text=True, timeout=150, env={"PYTHONPATH": str(SRC)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def _done(found: dict[str, object]) -> set[str]:
    return {name for name, what in found.items() if what == "done"}


def _other(role: str) -> str:
    return "keeper" if role != "keeper" else "accounts"


@pytest.mark.parametrize("role", SERVING)
def test_the_id_of_a_role_alone_opens_no_other_role(
    role: str, device: Running, users: Users, port: int
) -> None:
    into = Enclosure(user=users[role])
    found = intrude(device, into, victim=device.pid_of(_other(role)), port=port)
    own = {f"read {role}", f"change {role}", f"add to {role}"}
    own &= set(found)  # the announcer keeps nothing
    keepers = {"read keystore.toml"} if role == "keeper" else set()
    assert _done(found) == OPEN_TO_ALL | own | keepers
    assert found["entered"]["user-id"] is True  # type: ignore[index]


def test_the_same_intruder_as_root_can_do_all_of_it(device: Running, port: int) -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as victim:
        found = intrude(device, None, victim=victim.pid, port=port)
        victim.kill()
    assert set(found) - _done(found) == {"entered", "root"}


def test_a_role_cannot_signal_or_trace_any_other(device: Running, users: Users, port: int) -> None:
    for role in SERVING:
        for other in {*SERVING, "supervisor"} - {role}:
            into = Enclosure(user=users[role])
            found = intrude(device, into, victim=device.pid_of(other), port=port)
            assert found["signal"] == found["trace"] == "PermissionError", (role, other)
            assert found["look at memory"] == found["look at the environment"] == "PermissionError"


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_every_role_runs_as_its_own_user_in_no_group_and_without_capabilities(
    device: Running, users: Users
) -> None:
    seen = set()
    for role in SERVING:
        status = _status(device.pid_of(role))
        assert status["Uid"].split() == [str(users[role].uid)] * 4
        assert status["Gid"].split() == [str(users[role].gid)] * 4
        assert status["Groups"] == ""
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[kind], 16) == 0
        seen.add(status["Uid"])
    assert len(seen) == len(SERVING)


def test_boot_and_supervisor_keep_the_capabilities_of_the_table_and_no_other(
    device: Running,
) -> None:
    kept = sum(1 << capability for capability in SUPERVISOR)
    for pid in (device.boot.pid, device.pid_of("supervisor")):
        status = _status(pid)
        assert status["NoNewPrivs"] == "1"
        for kind in ("CapPrm", "CapEff", "CapBnd"):
            assert int(status[kind], 16) & ~kept == 0
        assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0


def test_files_belong_to_their_role_and_what_boot_trusts_to_root(
    device: Running, users: Users
) -> None:
    root = device.root
    for role in SERVING:
        for path in ((root / role), *(root / role).rglob("*")):
            assert path.lstat().st_uid == users[role].uid, path
        assert (root / role).stat().st_mode & 0o777 == 0o700
    for name in ("", "slots", "slots/a", "slots/a/product.toml", "slots/boot.json", "log", "run"):
        assert (root / name).stat().st_uid == 0
    keystore = (root / "keystore.toml").stat()
    assert (keystore.st_uid, keystore.st_gid) == (0, users["keeper"].gid)
    assert keystore.st_mode & 0o777 == 0o640
