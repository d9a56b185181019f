"""What one update check costs: bytes between device and server, CPU seconds on both.

The server is `limpet vendor serve`, the client what the updater uses: its connection, its source,
its repository. Bytes are what TCP carries, TLS included, both ways, counted by a relay on loopback.
"""

import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import Figure, cpu_seconds
from limpet.crypto.suites import TlsUse
from limpet.crypto.tls import client_context
from limpet.device.updater.floor import Floor
from limpet.device.updater.repository import Repository
from limpet.device.updater.source import HttpsSource
from limpet.https.client import HttpsClient
from limpet.vendor.home import Home, create
from limpet.vendor.repository import Repository as VendorRepository
from limpet.wire.rollout import Plan, PlanState

__all__ = ["measure_checks"]

PRODUCT = Path(__file__).parents[1] / "examples" / "thermostat"
HOST, MODEL = "vendor.example.com", "thermostat"
QUIET_BYTES = 1500  # a check without change, TLS resumed
CHECKS = 40  # for CPU
SETTLE_SECONDS = 0.2
FLOOR = Floor(time=datetime(2020, 1, 1, tzinfo=UTC))


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Relay:
    """Passes bytes to `port` on loopback, and counts them."""

    port: int
    carried: int = 0
    connections: int = 0
    listener: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(("127.0.0.1", self.port))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                self.carried += len(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other direction has ended

    def take(self) -> int:
        """The bytes since the last call, once the goodbyes have passed."""
        time.sleep(SETTLE_SECONDS)
        carried, self.carried = self.carried, 0
        return carried


@contextmanager
def _serving(home: Home) -> Iterator[tuple[int, int]]:
    """`limpet vendor serve`: its port and process id."""
    command = [sys.executable, "-m", "limpet", "vendor", "serve", str(home.root)]
    command += ["--listen", "127.0.0.1:0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield int(server.stdout.readline().rpartition(":")[2]), server.pid
    finally:
        server.terminate()
        server.wait(20)


class _Device:
    """The reading side of an updater, from an empty cache on."""

    def __init__(self, home: Home, directory: Path, port: int, *, resume: bool = True) -> None:
        tls = client_context(
            roots_pem=(home.trust / "service-root.pem").read_bytes(), use=TlsUse.VENDOR
        )
        where = {f"{HOST}:443": f"127.0.0.1:{port}"}
        self._client = HttpsClient(f"https://{HOST}", tls=tls, resolve=where, resume=resume)
        self._repository = Repository(
            HttpsSource(self._client),
            model=MODEL,
            directory=directory,
            trusted_root=(home.trust / "root.json").read_bytes(),
        )

    def check(self) -> None:
        """One look, with a connection of its own."""
        self._repository.look(FLOOR, now=_now(), keep=lambda floor: None)
        self._client.close()


def _publish(home: Home, share: int) -> None:
    VendorRepository(home, _now).publish_plan(
        Plan(model=MODEL, state=PlanState.PAUSED, admitted_ppm=share, issued_at=_now())
    )


def _bytes(home: Home, work: Path, port: int) -> Sequence[Figure]:
    relay = Relay(port)
    device = _Device(home, work / "device", _port_of(relay))
    device.check()
    first = relay.take()
    device.check()
    quiet = relay.take()
    _publish(home, 7)
    device.check()
    changed = relay.take()
    new = _Device(home, work / "device", _port_of(relay), resume=False)
    new.check()
    whole = relay.take()
    relay.listener.close()
    return [
        Figure(
            what="check without change, TLS resumed",
            value=quiet,
            unit="bytes",
            target=f"at most {QUIET_BYTES:,}",
            met=quiet <= QUIET_BYTES,
        ),
        Figure(what="the same by a new process: whole handshake", value=whole, unit="bytes"),
        Figure(what="check that finds another plan, TLS resumed", value=changed, unit="bytes"),
        Figure(what="first check of a new device", value=first, unit="bytes"),
    ]


def _port_of(relay: Relay) -> int:
    return int(relay.listener.getsockname()[1])


def _cpu(home: Home, work: Path, port: int, pid: int) -> Sequence[Figure]:
    """Milliseconds of CPU a check, whole handshakes and resumed ones."""
    figures = []
    for resume, how in ((True, "resumed"), (False, "whole handshake")):
        device = _Device(home, work / f"cpu-{resume}", port, resume=resume)
        device.check()
        here, there = time.process_time(), cpu_seconds(pid)
        for _ in range(CHECKS):
            device.check()
        spent = (time.process_time() - here, cpu_seconds(pid) - there)
        for where, seconds in zip(("device", "server"), spent, strict=True):
            figures.append(
                Figure(
                    what=f"CPU of a check without change, {how}: {where}",
                    value=seconds / CHECKS * 1000,
                    unit="ms",
                )
            )
    return figures


def measure_checks() -> list[Figure]:
    """All figures of one check."""
    with tempfile.TemporaryDirectory(prefix="limpet-bench-") as place:
        work = Path(place)
        home = create(
            work / "vendor", PRODUCT, hostnames=(HOST,), now=_now(), unsafe_without_gate=True
        )
        with _serving(home) as (port, pid):
            return [*_bytes(home, work, port), *_cpu(home, work, port, pid)]
