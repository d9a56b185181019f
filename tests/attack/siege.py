"""A flood against a whole device, and what its owner feels: measured in turns with idle time.

Owns the measuring. The device, all roles, runs on one core, before all else there; the flood and
the owner share the other, the owner first, as if they were other machines. Idle and flooded windows
take turns, so that what else this machine does falls on both. A capacity is counted in CPU seconds
of the device, so that no other program is measured with it.
"""

import contextlib
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.attack.network import DEVICE_V4, Network, inside
from tests.device.workshop import processes_of
from tests.end_to_end.living_device import PASSWORD, Living, Owner

from limpet.crypto.tls import client_context

__all__ = [
    "KINDS",
    "SLOW",
    "TIMES_CAPACITY",
    "Capacity",
    "Siege",
    "besiege",
    "cpu_seconds",
    "measure_capacity",
    "memory_mib",
    "percentile",
    "settled",
]

FLOODER = Path(__file__).with_name("flooder.py")
GIVE_UP_SECONDS = 30.0
FIRST = -20  # the device's core is its own: what else this machine does there waits
SLOW = {"slow-headers": "-H", "slow-body": "-B", "slow-read": "-X"}
"""Modes of slowhttptest: a thousand connections of one address."""
KINDS = ("connect", "hello", "silent", "requests", "logins")
CADENCE = 0.02  # seconds between the owner's requests
SAMPLES_SECONDS = 0.1
CAPACITY_COUNT = 150
TIMES_CAPACITY = 10
LOGIN_SECONDS = 1.0  # kept of each flooded window for the owner's login
OWN_PATH = b"/.well-known/security.txt"
GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one core of this machine does for the device's gateway, in pieces a second."""

    connections: float  # TLS handshakes with one request each
    requests: float  # on a kept connection


@dataclass(slots=True)
class Siege:
    """What one kind of flood did: times in seconds, memory in MiB."""

    kind: str
    idle: list[float] = field(default_factory=list)
    under: list[float] = field(default_factory=list)
    logins: list[float] = field(default_factory=list)
    recovered: float = float("inf")
    sent: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    gateway_share: float = 0.0  # of a core, while flooded
    memory_before: float = 0.0
    memory_most: float = 0.0

    @property
    def ratio(self) -> float:
        """The owner's 99th percentile under the flood, by its idle value."""
        return percentile(self.under) / percentile(self.idle)

    @property
    def offered(self) -> float:
        """Connections a second that the flood began, or requests that it sent."""
        return self.sent["requests" if self.kind in ("requests", "logins") else "tried"] / (
            self.seconds or 1.0
        )


def percentile(took: list[float], which: int = 99) -> float:
    """The `which`-th percentile."""
    return statistics.quantiles(took, n=100)[which - 1]


def cpu_seconds(pid: int) -> float:
    """What the threads of the process have used, user and system."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


@contextlib.contextmanager
def settled(living: Living) -> Iterator[None]:
    """The device has a core of its own, where there are two, and the owner the first place."""
    cores = os.sched_getaffinity(0)
    if len(cores) > 1:
        for pid in processes_of(living.device.root):
            for thread in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(thread), {min(cores)})
                os.setpriority(os.PRIO_PROCESS, int(thread), FIRST)
        os.sched_setaffinity(0, {max(cores)})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        _as_others()
        os.sched_setaffinity(0, cores)


def measure_capacity(living: Living) -> Capacity:
    """Strangers' work at the gateway while nobody known is there, by its CPU time."""
    tls = client_context(roots_pem=living.roots_pem)
    gateway = living.device.pid_of("gateway")

    def per_second(work: Callable[[], None]) -> float:
        before = cpu_seconds(gateway)
        for _ in range(CAPACITY_COUNT):
            work()
        return CAPACITY_COUNT / (cpu_seconds(gateway) - before)

    def connect() -> None:
        with _connected(("127.0.0.1", living.port), tls) as one:
            _ask(one)

    connections = per_second(connect)
    with _connected(("127.0.0.1", living.port), tls) as kept:
        return Capacity(connections, per_second(lambda: _ask(kept)))


def besiege(
    living: Living,
    owner: Owner,
    kind: str,
    network: Network,
    *,
    rate: float,
    windows: int,
    seconds: float,
    awake: float,
) -> Siege:
    """Idle and flooded windows in turn, the owner's login in each, then the recovery.

    A window of flood lasts `seconds`, an idle one half of that. `awake` is the memory of the
    device with all roles awake: a question of a stranger may wake one that rests.
    """
    found = Siege(kind)
    _use(owner, seconds / 2)
    found.memory_before = max(awake, memory_mib(living))
    gateway = living.device.pid_of("gateway")
    used, watched = 0.0, 0.0
    for _ in range(windows):
        with _burning():
            found.idle += _use(owner, seconds / 2)
        with _flooded(living, network, kind, rate, seconds, found):
            before, begun = cpu_seconds(gateway), time.monotonic()
            found.under += _use(owner, seconds - LOGIN_SECONDS)
            used += cpu_seconds(gateway) - before
            watched += time.monotonic() - begun
            found.logins.append(_log_in(owner))
    found.gateway_share = used / watched
    found.recovered = _seconds_until_a_stranger_is_served(living, network)
    return found


def _use(owner: Owner, seconds: float) -> list[float]:
    """The owner's requests at its cadence; how long each took."""
    took = []
    due = time.monotonic()
    end = due + seconds
    while due < end:
        begun = time.monotonic()
        status, _ = owner.ask("GET", "/v1/functions")
        took.append(time.monotonic() - begun)
        assert status == 200, status
        due = max(due + CADENCE, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
    return took


def _log_in(owner: Owner) -> float:
    """A known client opens a new connection and a new session; the seconds that it took."""
    anew = Owner(owner.living)
    body = {"name": "owner", "password": PASSWORD, "known": owner.known}
    begun = time.monotonic()
    status, value = anew.ask("POST", "/v1/login", body)
    took = time.monotonic() - begun
    assert status == 201, value
    anew.ask("POST", "/v1/logout", token=value["token"])  # an account has room for few sessions
    anew.hang_up()
    return took


def _seconds_until_a_stranger_is_served(living: Living, network: Network) -> float:
    tls = client_context(roots_pem=living.roots_pem)
    begun = time.monotonic()
    with inside(network.attacker):
        while time.monotonic() - begun < GIVE_UP_SECONDS:
            try:
                with _connected((DEVICE_V4, living.port), tls) as stranger:
                    _ask(stranger)
                    break
            except OSError:
                time.sleep(0.05)
    return time.monotonic() - begun


def _command(living: Living, kind: str, rate: float, seconds: float) -> list[str]:
    """The flood's program: our own, or slowhttptest from one address."""
    if kind not in SLOW:
        words = [kind, DEVICE_V4, str(living.port), str(seconds), str(rate), "4"]
        return [sys.executable, "-I", str(FLOODER), *words]
    url = f"https://{DEVICE_V4}:{living.port}/v1/identity"
    return ["slowhttptest", SLOW[kind], "-c", "1000", "-r", "500", "-i", "1", "-u", url]


@contextlib.contextmanager
def _flooded(
    living: Living, network: Network, kind: str, rate: float, seconds: float, found: Siege
) -> Iterator[None]:
    over = threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLES_SECONDS):
            found.memory_most = max(found.memory_most, memory_mib(living))

    with inside(network.attacker):
        flooder = subprocess.Popen(
            _command(living, kind, rate, seconds),
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=_as_others,
        )
    watcher = threading.Thread(target=watch, daemon=True)
    try:
        assert flooder.stdout is not None
        if kind not in SLOW:
            assert flooder.stdout.readline() == "ready\n"
        watcher.start()
        yield
        if kind in SLOW:
            found.seconds += seconds
        else:
            said = json.loads(flooder.stdout.readline())
            found.seconds += said.pop("seconds")
            found.sent.update(said)
    finally:
        over.set()
        flooder.kill()
        flooder.communicate()


@contextlib.contextmanager
def _burning() -> Iterator[None]:
    """The load that the flood puts on the owner's core, without the flood."""
    burner = subprocess.Popen(
        [sys.executable, "-I", "-c", "while True: pass"], preexec_fn=_as_others
    )
    try:
        yield
    finally:
        burner.kill()
        burner.wait()


def _as_others() -> None:
    """The child inherits the owner's core, but not its first place."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def memory_mib(living: Living) -> float:
    """All processes of the device (what they share counted each time), and the kernel's TCP."""
    sockets = Path("/proc/net/sockstat").read_text().split("TCP:")[1].split()
    pages = int(sockets[sockets.index("mem") + 1])
    for pid in processes_of(living.device.root):
        with contextlib.suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / (1 << 20)


@contextlib.contextmanager
def _connected(where: tuple[str, int], tls: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(where, timeout=10) as raw,
        tls.wrap_socket(raw, server_hostname="localhost") as secured,
    ):
        yield secured


def _ask(secured: ssl.SSLSocket) -> None:
    secured.sendall(GET % OWN_PATH)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += secured.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
