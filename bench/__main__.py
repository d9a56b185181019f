"""`./run bench`: memory, start and speed of a real device against bare yardsticks.

`./run bench flood` and `./run bench guessing` attack it instead.

Owns the measuring. Server work is counted in CPU seconds of the serving process, so
that neither the client nor another program on the machine is measured with it.
"""

import os
import platform
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.device.workshop import processes_of, running
from tests.end_to_end.living_device import Living, Owner, living_device

from bench import flood, guessing
from limpet.crypto.certificates import issue_operational, make_root
from limpet.crypto.keys import generate_key, key_to_pem
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.crypto.tls import client_context
from limpet.errors import LimpetError

ROUNDS = 3  # the yardstick and the gateway in turn; the medians count
REQUESTS, HANDSHAKES = 600, 60  # in one round
OWN_PATH = b"/.well-known/security.txt"  # the gateway answers it alone
ASKING_PATH = b"/v1/identity"  # on an unclaimed device two other roles are asked
WORK = (
    ("requests", REQUESTS, OWN_PATH),
    ("handshakes", HANDSHAKES, OWN_PATH),
    ("asking requests", REQUESTS // 2, ASKING_PATH),
)
START_SECONDS = 30.0
SETTLE_SECONDS = 3.0
BARE = "import ssl, time; ssl.create_default_context(); print(flush=True); time.sleep(600)"
TARGETS = {"memory MiB": 90.0, "start s": 3.0, "ratio": 0.7}


def pss_mib(pids: list[int]) -> float:
    """Proportional set size of `pids`, in MiB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def cpu_seconds(pid: int) -> float:
    """What the threads of the process have used, user and system, in nanosecond steps."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def per_cpu_second(pid: int, count: int, work: Callable[[], None]) -> float:
    """`count` pieces of `work`, by the CPU seconds that they cost `pid`."""
    before = cpu_seconds(pid)
    for _ in range(count):
        work()
    return count / (cpu_seconds(pid) - before)


class Client:
    """Speaks just enough HTTP to be cheap."""

    def __init__(self, port: int, tls: ssl.SSLContext) -> None:
        self._port, self._tls = port, tls
        self.path = OWN_PATH
        self._open: ssl.SSLSocket | None = None

    def connect(self) -> ssl.SSLSocket:
        """A full handshake; no session is resumed."""
        raw = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        return self._tls.wrap_socket(raw, server_hostname="localhost")

    def shake_hands(self) -> None:
        """Handshake, one request, end."""
        with self.connect() as secured:
            self._ask(secured)

    def ask(self) -> None:
        """One request on a kept connection."""
        if self._open is None:
            self._open = self.connect()
        self._ask(self._open)

    def close(self) -> None:
        """End the kept connection."""
        if self._open is not None:
            self._open.close()
        self._open = None

    def _ask(self, secured: ssl.SSLSocket) -> None:
        secured.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % self.path)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += _some(secured)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += _some(secured)


def _some(secured: ssl.SSLSocket) -> bytes:
    data = secured.recv(65536)
    if not data:
        raise ConnectionError("the server ended the connection")
    return data


def measure_memory(living: Living) -> tuple[float, float]:
    """MiB of the device, and of a bare Python with ssl."""
    bare = subprocess.Popen([sys.executable, "-I", "-c", BARE], stdout=subprocess.PIPE)
    try:
        assert bare.stdout is not None
        bare.stdout.readline()
        time.sleep(SETTLE_SECONDS)
        return pss_mib(processes_of(living.device.root)), pss_mib([bare.pid])
    finally:
        bare.kill()
        bare.wait()


def measure_start(living: Living) -> float:
    """Seconds from the start of boot to the first answered request."""
    begun = time.monotonic()
    with running(living.device.root, wait=False):
        while time.monotonic() - begun < START_SECONDS:
            owner = Owner(living)
            try:
                if owner.ask("GET", "/v1/identity")[0] == 200:
                    return time.monotonic() - begun
            except (LimpetError, OSError, ValueError):
                time.sleep(0.02)
            finally:
                owner.hang_up()
    raise SystemExit("the device did not start")


def measure_speed(living: Living, directory: Path) -> dict[str, tuple[float, float]]:
    """What: (gateway, bare server), each in pieces for a CPU second of the server."""
    tls = client_context(roots_pem=living.roots_pem)
    gateway = Client(living.port, tls)
    body = directory / "body"
    with gateway.connect() as secured:
        secured.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % OWN_PATH)
        body.write_bytes(secured.recv(65536).partition(b"\r\n\r\n")[2])
    issuer, key = make_root("yardstick", now=datetime.now(UTC)), generate_key()
    csr = make_request(key, model="bare", serial="bare", purpose=Purpose.SERVER)
    chain = issue_operational(
        issuer,
        verify_request(csr),
        now=datetime.now(UTC),
        lifetime=timedelta(days=1),
        addresses=("127.0.0.1",),
    )
    certificate = directory / "bare.pem"
    certificate.write_bytes(key_to_pem(key) + chain)
    command = [sys.executable, "-I", str(Path(__file__).with_name("bare_server.py"))]
    bare = subprocess.Popen([*command, certificate, body], stdout=subprocess.PIPE, text=True)
    try:
        assert bare.stdout is not None
        port = int(bare.stdout.readline())
        yardstick = Client(port, client_context(roots_pem=issuer.certificate_pem()))
        pid = living.device.pid_of("gateway")
        found: dict[str, tuple[list[float], list[float]]] = {}
        for _ in range(ROUNDS):
            for what, count, path in WORK:
                ours, theirs = found.setdefault(what, ([], []))
                gateway.path = path
                work = "shake_hands" if what == "handshakes" else "ask"
                ours.append(per_cpu_second(pid, count, getattr(gateway, work)))
                theirs.append(per_cpu_second(bare.pid, count, getattr(yardstick, work)))
                gateway.close()
                yardstick.close()
        return {what: (_middle(ours), _middle(theirs)) for what, (ours, theirs) in found.items()}
    finally:
        bare.kill()
        bare.wait()


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def main() -> int:
    """Print every figure with its target; 1 if one is missed."""
    missed = []

    def show(what: str, text: str, *, good: bool, target: str) -> None:
        print(f"{what:<34}{text:<44}target {target:<10}{'met' if good else 'MISSED'}", flush=True)
        if not good:
            missed.append(what)

    print(f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="limpet-bench-") as name:
        directory = Path(name)
        with living_device(directory) as living:
            whole, bare = measure_memory(living)
            text = f"{whole:.1f} MiB PSS; bare Python+ssl {bare:.1f}: {whole / bare:.1f}x"
            limit = TARGETS["memory MiB"]
            show("memory of all roles", text, good=whole <= limit, target=f"{limit:.0f} MiB")
            for what, (ours, theirs) in measure_speed(living, directory).items():
                text = f"{ours:.0f} per CPU s; bare h11 {theirs:.0f}: {ours / theirs:.2f}"
                good = ours / theirs >= TARGETS["ratio"]
                show(f"{what} of the gateway", text, good=good, target=f"{TARGETS['ratio']}")
            living.device.boot.terminate()
            living.device.boot.wait(20)
            start = sorted(measure_start(living) for _ in range(3))[1]
            limit = TARGETS["start s"]
            show("start to first answer", f"{start:.2f} s", good=start < limit, target=f"{limit} s")
    return 1 if missed else 0


PARTS = {"device": main, "flood": flood.main, "guessing": guessing.main}


def run_part(words: Sequence[str]) -> int:
    """Run the part that is named; the device's figures where none is."""
    name = words[0] if words else "device"
    if len(words) > 1 or name not in PARTS:
        print(f"bench: no part {' '.join(words)!r}: choose one of {', '.join(PARTS)}")
        return 2
    return PARTS[name]()


if __name__ == "__main__":
    sys.exit(run_part(sys.argv[1:]))
