"""A false vendor: what a device does when somebody else answers in its vendor's name.

Owns a TLS server whose certificate bears the vendor's host names and comes from an
authority that no device trusts, and a second life of the device's firmware that is
led to it. That second life has the firmware and the public identity, and speaks through
the device's own keeper; no key, credential or data of the device is copied. Ends every
process it started.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from limpet.audit.target import Target
from limpet.crypto.certificates import issue_service, make_root
from limpet.crypto.keys import generate_key
from limpet.crypto.suites import TlsUse
from limpet.crypto.tls import server_context
from limpet.errors import Unavailable
from limpet.product import PRODUCT_FILE, load_product
from limpet.storage import read_bounded

__all__ = ["Impostor", "Meeting", "meet_impostor"]

WAIT_SECONDS = 9.0
MAX_LOG = 1 << 20
MAX_DETAIL = 120
SETTLE_SECONDS = 0.4  # after the first connection: what else comes?
STOP_SECONDS = 5.0
HANDSHAKE_SECONDS = 3.0
MAX_CONNECTIONS = 32
_REFUSAL = re.compile("certificate was refused|does not hold", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """What the false vendor saw."""

    connections: int  # that began TLS
    trusting: int  # ... and went on after they had seen the certificate
    said: tuple[str, ...]  # what the device's log says about the certificate, once each


@dataclass(slots=True)
class _Seen:
    connections: int = 0
    trusting: int = 0


class Impostor:
    """The false vendor on the loopback, in a thread; a context."""

    def __init__(self, target: Target, hosts: tuple[str, ...]) -> None:
        now = target.now()
        key = generate_key()
        chain = issue_service(
            make_root("Nobody's Authority", now=now), key, hostnames=hosts, now=now, days=1
        )
        self._context = server_context(chain, key, use=TlsUse.VENDOR)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self._seen = _Seen()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def connections(self) -> int:
        """Those that began TLS so far."""
        return self._seen.connections

    def report(self, log: Path) -> Meeting:
        """What it has seen, and what the device's log says of it."""
        seen = self._seen
        return Meeting(connections=seen.connections, trusting=seen.trusting, said=_complaints(log))

    def __enter__(self) -> "Impostor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=HANDSHAKE_SECONDS + 1)
        self._listener.close()

    def _serve(self) -> None:
        while not self._over.is_set() and self._seen.connections < MAX_CONNECTIONS:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            connection.settimeout(HANDSHAKE_SECONDS)
            self._receive(connection)

    def _receive(self, connection: socket.socket) -> None:
        """In TLS 1.3 a client that trusts finishes the handshake; one that does not never does."""
        try:
            if connection.recv(1, socket.MSG_PEEK) != b"\x16":
                return  # no ClientHello: it was not the certificate that kept it
            self._seen.connections += 1
            with self._context.wrap_socket(connection, server_side=True):
                self._seen.trusting += 1
        except OSError:
            pass  # broken off, as it should be
        finally:
            connection.close()


def meet_impostor(target: Target) -> Meeting:
    """Start the device's firmware anew, led to the false vendor, and watch. Needs its host."""
    device = target.need(target.device_dir, "--device")
    slot = _running_slot(device)
    hosts = load_product(slot / PRODUCT_FILE).vendor.hosts
    with (
        tempfile.TemporaryDirectory(prefix="limpet-audit-") as temporary,
        Impostor(target, hosts) as impostor,
    ):
        life = Path(temporary) / "device"
        _copy_public(device, life)
        led = [part for host in hosts for part in _led(host, impostor.port)]
        words = ["-I", "-m", "limpet", "device", "run", str(life), "--listen", "127.0.0.1:0"]
        process = subprocess.Popen(
            [sys.executable, *words, *led],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait(process, impostor, life / "log" / "device.log")
        finally:
            _end(process)
        return impostor.report(life / "log" / "device.log")


def _led(host: str, port: int) -> tuple[str, str]:
    return "--resolve", f"{host}:443=127.0.0.1:{port}"


def _running_slot(device: Path) -> Path:
    for name in ("a", "b"):
        if (device / "slots" / name / PRODUCT_FILE).is_file():
            return device / "slots" / name
    raise Unavailable(f"{device} holds no firmware")


def _copy_public(device: Path, life: Path) -> None:
    """Firmware, boot record and public identity; the keeper's directory is shared, not copied."""
    life.mkdir(mode=0o700)
    shutil.copytree(device / "slots", life / "slots")
    shutil.copy2(device / "identity.json", life / "identity.json")
    (life / "keeper").symlink_to(device.resolve() / "keeper")  # made in the factory, then only read


def _complaints(log: Path) -> tuple[str, ...]:
    """The details of the log that are about a certificate."""
    if not log.exists():
        return ()
    found = []
    for line in read_bounded(log, max_bytes=MAX_LOG).splitlines():
        try:
            detail = str(msgspec.json.decode(line, type=dict[str, object]).get("detail", ""))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if _REFUSAL.search(detail):
            found.append(detail[:MAX_DETAIL])
    return tuple(dict.fromkeys(found))


def _wait(process: subprocess.Popen[bytes], impostor: Impostor, log: Path) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if impostor.connections and _complaints(log):
            time.sleep(SETTLE_SECONDS)
            return
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
