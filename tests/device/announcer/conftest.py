"""A network of the test's own: the device's announcer on one end of a cable, the test on the other.

Owns the namespaces, which have a name that only this test uses, and takes them away again. The
machine's own network is not touched. Needs root and iproute2.
"""

import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.device.gateway.conftest import make_slot
from tests.needs import need

from limpet.crypto.certificates import make_root
from limpet.device.link.bus import IDLE_SECONDS

NAMES = ("device", "peer")
EVERYWHERE = "0.0.0.0"  # noqa: S104
DEVICE_4, PEER_4, FAR_4 = "10.98.0.1", "10.98.0.2", "192.0.2.7"
DEVICE_6, PEER_6, FAR_6 = "fd98::1", "fd98::2", "2001:db8::7"
TOOL_SECONDS = 60
SHORT_IDLE_SECONDS = 5.0
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Cable:
    """Two namespaces with a cable; the device has a way to the far addresses, through the peer."""

    def __init__(self) -> None:
        self.names = {name: f"limpet-{os.getpid()}-{name}" for name in NAMES}
        device, peer = self.names.values()
        for name in (device, peer):
            self.ip("netns", "add", name)
        self.ip("link", "add", "cable", "netns", device, "type", "veth",
                "peer", "name", "cable", "netns", peer)  # fmt: skip
        for name, four, six in ((device, DEVICE_4, DEVICE_6), (peer, PEER_4, PEER_6)):
            self.ip("-n", name, "link", "set", "lo", "up")
            self.ip("-n", name, "addr", "add", f"{four}/24", "dev", "cable")
            self.ip("-n", name, "addr", "add", f"{six}/64", "dev", "cable", "nodad")
            self.ip("-n", name, "link", "set", "cable", "up")
        self.ip("-n", peer, "addr", "add", f"{FAR_4}/32", "dev", "lo")
        self.ip("-n", peer, "addr", "add", f"{FAR_6}/128", "dev", "lo")
        self.ip("-n", device, "route", "add", "default", "via", PEER_4)
        self.ip("-n", device, "route", "add", "default", "via", PEER_6)

    def close(self) -> None:
        for name in self.names.values():
            with contextlib.suppress(AssertionError):
                self.ip("netns", "del", name)

    def ip(self, *words: str) -> None:
        done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=TOOL_SECONDS)
        assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"

    @contextlib.contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Sockets that this thread makes meanwhile are in the namespace `name`."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(f"/run/netns/{self.names[name]}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            assert _libc.setns(there, _CLONE_NEWNET) == 0
            yield
        finally:
            assert _libc.setns(home, _CLONE_NEWNET) == 0
            os.close(home)
            os.close(there)


class Announcing:
    """The announcer's process; `say` is what the gateway would tell it."""

    def __init__(self, cable: Cable, root: Path) -> None:
        self.cable = cable
        script = str(Path(__file__).with_name("alone.py"))
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", cable.names["device"], sys.executable, script, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        _, pid, confinement = self._expect("ready").split()
        self.pid, self.confinement = int(pid), confinement.split(",")

    def say(self, **announce: Any) -> None:
        """Turn it on (or off) and wait until it is done."""
        what = {
            "on": True, "instance": "Room Thermostat C3D4", "host": "th-a1b2c3d4",
            "model": "thermostat", "listens_on": EVERYWHERE, "port": 8443,
        }  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({**what, **announce}) + "\n")
        self._process.stdin.flush()
        assert self._expect("done") == "done"

    def wait_rest(self) -> None:
        """Until it has asked to be ended; the test, in the supervisor's place, agrees."""
        self._expect("rests")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _expect(self, word: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(word):
                return line.strip()
            self.log.append(line.strip())
        raise AssertionError(f"no {word}: {self.log}")


@pytest.fixture(scope="module")
def cable() -> Iterator[Cable]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root: multicast was NOT tested")
    need("ip", package="iproute2", untried="multicast was NOT tested")
    made = Cable()
    yield made
    made.close()


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a device, as far as the announcer needs one."""
    from datetime import UTC, datetime

    root = tmp_path_factory.mktemp("device")
    make_slot(root / "slots" / "a", make_root("r", now=datetime.now(UTC)).certificate_pem())
    (root / "announcer").mkdir(mode=0o700)
    return root


@pytest.fixture
def soon_at_rest(cable: Cable, device: Path, tmp_path: Path) -> Iterator[Announcing]:
    """One whose own code has another number: half a minute is long for a test."""
    root = shutil.copytree(device, tmp_path / "device")
    bus = root / "slots" / "a" / "runtime" / "limpet" / "device" / "link" / "bus.py"
    patient = f"IDLE_SECONDS = {IDLE_SECONDS}"
    assert bus.read_text().count(patient) == 1
    bus.write_text(bus.read_text().replace(patient, f"IDLE_SECONDS = {SHORT_IDLE_SECONDS}"))
    running = Announcing(cable, root)
    yield running
    running.close()


@pytest.fixture
def announcing(cable: Cable, device: Path) -> Iterator[Announcing]:
    """An announcer that has not been told anything yet."""
    running = Announcing(cable, device)
    yield running
    running.close()
