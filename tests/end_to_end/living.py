"""A vendor, its service as a process, a release, and devices of the real station."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from socket import SHUT_WR, create_connection, create_server, socket

import msgspec
from tests.end_to_end.shipping import make_order

from limpet.release import build_release
from limpet.vendor.factory.station import Station, load_factory_image
from limpet.vendor.home import Home, create
from limpet.wire.keystore import SOFTWARE, KeyStoreSettings

PRODUCT = Path(__file__).parents[2] / "examples" / "thermostat"
NOW = datetime.now(UTC).replace(microsecond=0)


def make_home(place: Path) -> Home:
    """A vendor with a built release beside it."""
    home = create(place / "vendor", PRODUCT, now=NOW, unsafe_without_gate=True)
    build_release(make_order(home, PRODUCT, "1.0.0", at=NOW), place / "release")
    return home


def set_lifetime(home: Home, seconds: int) -> None:
    """Let the vendor issue operational certificates for so long (its setting in vendor.json)."""
    settings = msgspec.structs.replace(home.settings, certificate_lifetime_seconds=seconds)
    (home.root / "online" / "vendor.json").write_bytes(msgspec.json.encode(settings))


def make_device(home: Home, *, key_store: KeyStoreSettings = SOFTWARE) -> Path:
    """A device of the real station, with a place of its own."""
    station = Station(home, clock=lambda: datetime.now(UTC))
    image = load_factory_image(home.root.parent / "release")
    made = station.make(image, home.root.parent / "devices", count=1, key_store=key_store)
    return Path(next(iter(made)).directory)


@contextmanager
def serving(home: Home) -> Iterator[str]:
    """The vendor's service as a process of its own; "address:port"."""
    command = [sys.executable, "-m", "limpet", "vendor", "serve", str(home.root)]
    process = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.rpartition("https://")[2].strip()
    finally:
        process.terminate()
        process.wait(60)


class Tap:
    """A TCP relay to `target` that keeps every byte that came from the connecting side."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._server = create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self.sent = bytearray()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no further connection."""
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
                far = create_connection(self._target)
            except OSError:
                return
            for source, sink, keep in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._move, args=(source, sink, keep), daemon=True).start()

    def _move(self, source: socket, sink: socket, keep: bool) -> None:
        try:
            while data := source.recv(65536):
                if keep:
                    self.sent += data
                sink.sendall(data)
            sink.shutdown(SHUT_WR)
        except OSError:
            pass
