"""Private namespaces, attacked from inside; of root's making, and of an ordinary user's."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.device.workshop import SRC

from limpet.device.enclosure import Enclosure, Place

PROGRAM = """
import json, os, socket, sys
import msgspec
from limpet.device.enclosure import Enclosure, enter
wanted = msgspec.json.decode(sys.argv[1], type=Enclosure)
entered = {one.mechanism: (one.in_force, one.detail) for one in enter(wanted)}
def outcome(work):
    try:
        return repr(work())
    except OSError as error:
        return type(error).__name__
found = {name: outcome(lambda: eval(code)) for name, code in json.loads(sys.argv[2]).items()}
print(json.dumps({"entered": entered, **found}))
"""


def inside(into: Enclosure, **attempts: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-B", "-c", PROGRAM, msgspec.json.encode(into).decode(),
         json.dumps(attempts)],
        env={"PYTHONPATH": str(SRC.parent)}, capture_output=True, text=True, timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def permitted(mechanism: str) -> None:
    """Skip where the machine permits no such namespace: then the status says so."""
    into = Enclosure(network=False, places=(Place(sys.prefix),))
    held, why = inside(into)["entered"][mechanism]  # type: ignore[index]
    if not held:
        pytest.skip(f"this machine permits no {mechanism}: {why}")


def test_a_role_without_network_reaches_no_listener_and_sees_no_interface() -> None:
    permitted("network-namespace")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        attempts = {
            "connect": f"socket.socket().connect(('127.0.0.1', {port}))",
            "far": "socket.socket().connect(('192.0.2.1', 443))",
            "interfaces": "socket.if_nameindex()",
        }
        with_network = inside(Enclosure(), **attempts)
        without = inside(Enclosure(network=False), **attempts)
    assert with_network["connect"] == "None"
    assert without["connect"] == "OSError"  # the network is unreachable
    assert without["far"] == "OSError"
    assert without["interfaces"] == "[(1, 'lo')]"


def test_a_role_without_network_reaches_no_abstract_socket_of_the_machine() -> None:
    permitted("network-namespace")
    name = f"\\0limpet-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name.replace("\\0", "\0"))
        server.listen()
        attempt = {"connect": f"socket.socket(socket.AF_UNIX).connect('{name}')"}
        assert inside(Enclosure(), **attempt)["connect"] == "None"
        assert inside(Enclosure(network=False), **attempt)["connect"] == "ConnectionRefusedError"


def test_what_is_no_place_of_the_role_has_no_name_in_its_view(tmp_path: Path) -> None:
    permitted("mount-namespace")
    for name in ("own", "slot", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    places = (Place(str(tmp_path / "own"), writable=True), Place(str(tmp_path / "slot")))
    found = inside(
        Enclosure(places=places),
        top="sorted(os.listdir('/'))",
        own=f"open('{tmp_path}/own/file', 'r+').read()",
        slot=f"open('{tmp_path}/slot/file').read()",
        change=f"open('{tmp_path}/slot/file', 'w')",
        add=f"os.mkdir('{tmp_path}/slot/new')",
        other=f"open('{tmp_path}/other/file').read()",
        beside=f"os.mkdir('{tmp_path}/new')",
        password="open('/etc/passwd').read()",
        shadow="os.listdir('/etc')",
        processes="sorted(os.listdir('/proc'))[-1]",
        init="os.listdir('/proc/1')",
        self="os.readlink('/proc/self') == str(os.getpid())",
        back="os.listdir('/..') == os.listdir('/')",
    )
    assert found["entered"]["mount-namespace"][0]  # type: ignore[index]
    assert found["own"] == "'own'"
    assert found["slot"] == "'slot'"
    assert found["change"] == found["add"] == found["beside"] == "OSError"  # read-only
    assert found["other"] == found["password"] == found["shadow"] == "FileNotFoundError"
    assert found["init"] == "FileNotFoundError"
    assert found["processes"] == "'self'"
    assert found["self"] == found["back"] == "True"
    assert set(json.loads(str(found["top"]).replace("'", '"'))) == {"proc", tmp_path.parts[1]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "own", "slot"]


def test_a_device_below_a_closed_directory_is_reached_all_the_same(tmp_path: Path) -> None:
    """A view goes past directories that the role's user may not enter."""
    permitted("mount-namespace")
    if os.geteuid() != 0:
        pytest.skip("an ordinary user's roles have no ids of their own")
    closed = tmp_path / "closed"
    (closed / "own").mkdir(parents=True)
    closed.chmod(0o700)
    (closed / "own" / "file").write_text("own")
    (closed / "own" / "file").chmod(0o644)
    user = {"uid": 0x70000000, "gid": 0x70000000}
    places = [{"path": str(closed / "own")}]
    read = f"open('{closed}/own/file').read()"
    enclosure = msgspec.convert({"user": user, "places": places}, Enclosure)
    without = msgspec.convert({"user": user}, Enclosure)
    assert inside(enclosure, read=read)["read"] == "'own'"
    assert inside(without, read=read)["read"] == "PermissionError"


def test_a_place_that_does_not_exist_is_left_out(tmp_path: Path) -> None:
    permitted("mount-namespace")
    places = (Place(str(tmp_path)), Place(str(tmp_path / "missing" / "file")))
    found = inside(Enclosure(places=places), missing=f"os.stat('{tmp_path}/missing')")
    assert found["missing"] == "FileNotFoundError"


def test_what_a_role_mounts_or_names_is_not_seen_outside() -> None:
    permitted("uts-namespace")
    found = inside(Enclosure(), name="socket.sethostname('taken')")
    assert found["name"] == "PermissionError"
    assert socket.gethostname() != "taken"


def test_only_a_gateway_with_a_low_port_can_listen_below_1024() -> None:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user's roles never can")
    user = {"uid": 0x70000000, "gid": 0x70000000}
    attempt = {"listen": "socket.create_server(('0.0.0.0', 443)).close()"}
    for low_port, expected in ((True, "None"), (False, "PermissionError")):
        into = msgspec.convert({"user": user, "network": False, "low_port": low_port}, Enclosure)
        assert inside(into, **attempt)["listen"] == expected


def test_a_machine_with_a_mount_over_its_root_leaks_none_of_it_into_a_view(tmp_path: Path) -> None:
    permitted("mount-namespace")
    if os.geteuid() != 0:
        pytest.skip("only root mounts over the root directory")
    # In a mount namespace of its own: a file system in memory over "/", as some boots leave it.
    covering = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
assert libc.unshare(0x20000) == 0
assert libc.mount(None, b"/", None, ctypes.c_ulong(0x44000), None) == 0
assert libc.mount(b"none", b"/", b"tmpfs", ctypes.c_ulong(0), None) == 0
assert os.listdir("/..") == []
os.execv(sys.executable, sys.argv[1:])
"""
    into = msgspec.json.encode(Enclosure(places=(Place(str(tmp_path)),))).decode()
    attempts = json.dumps({"back": "os.listdir('/..') == os.listdir('/')"})
    done = subprocess.run(
        [sys.executable, "-c", covering, sys.executable, "-B", "-c", PROGRAM, into, attempts],
        env={"PYTHONPATH": str(SRC.parent)}, capture_output=True, text=True, timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["back"] == "True"


def test_a_process_that_may_not_make_namespaces_says_why() -> None:
    """As in a container that forbids it: root without the right to."""
    if os.geteuid() != 0:
        pytest.skip("an ordinary user has nothing to lose")
    # CAP_SYS_ADMIN leaves the bounding set (prctl(2)); the next program has it no more.
    losing = """
import ctypes, os, sys
assert ctypes.CDLL(None).prctl(24, 21, 0, 0, 0) == 0
os.execv(sys.executable, sys.argv[1:])
"""
    into = Enclosure(network=False, places=(Place("/usr"),))
    done = subprocess.run(
        [sys.executable, "-c", losing, sys.executable, "-B", "-c", PROGRAM,
         msgspec.json.encode(into).decode(), "{}"],
        env={"PYTHONPATH": str(SRC.parent)}, capture_output=True, text=True, timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    entered = json.loads(done.stdout)["entered"]
    for mechanism in ("mount-namespace", "network-namespace", "ipc-namespace", "uts-namespace"):
        assert entered[mechanism] == [False, "unshare: operation not permitted"]
