"""`./run bench transfer`: one answer for an image against a request for each group, over real TLS.

A process fetches 64 MiB (65 groups that do not compress) from a server on loopback, straight and
through a relay that holds everything back for 20 ms each way, as a line of 40 ms does. Wall time,
CPU of the fetching process, and the requests it made.
"""

import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

import msgspec
from tests.device.updater.mirror import Mirror, mirror_of
from tests.device.updater.test_transfer_process import MIB, build_large
from tests.https.conftest import make_identity

from limpet.crypto.tls import client_context
from limpet.device.updater.source import HttpsSource
from limpet.device.updater.transfer import Account, Line, Transfer
from limpet.firmware.installation import install_image
from limpet.https.client import HttpsClient
from limpet.wire.release import Image

__all__ = ["main"]

ONE_WAY_SECONDS = 0.020
WAYS = ("one-answer", "each-group")


def main(words: Sequence[str]) -> int:
    """Print the table; 0. It takes no words."""
    if words:
        print(f"bench: transfer takes no {' '.join(words)!r}")
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        image = build_large(place, 64 * MIB)
        identity = make_identity()
        (place / "image.json").write_bytes(msgspec.json.encode(image))
        (place / "roots.pem").write_bytes(identity.roots)
        print(f"{'line':<10}{'how':<12}{'requests':>9}{'wall s':>9}{'CPU s':>8}")
        with mirror_of((place / "image.img").read_bytes(), identity) as mirror:
            for name in ("loopback", "40 ms"):
                with _way(mirror, name) as port:
                    for way in WAYS:
                        told = _fetch(place, port, way)
                        print(
                            f"{name:<10}{way:<12}{told['requests']:>9}"
                            f"{told['wall']:>9.2f}{told['cpu']:>8.2f}"
                        )
    return 0


def _fetch(place: Path, port: int, way: str) -> dict[str, float]:
    own = place / f"own-{way}-{port}"
    own.mkdir()
    words = [sys.executable, "-m", "bench.transfer", str(port), str(place), str(own), way]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


@contextmanager
def _way(mirror: Mirror, name: str) -> Iterator[int]:
    if name == "loopback":
        yield mirror.port
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_relay, args=(listener, mirror.port), daemon=True).start()
        yield listener.getsockname()[1]


def _relay(listener: socket.socket, port: int) -> None:
    with suppress(OSError):
        while True:
            near, _ = listener.accept()
            far = socket.create_connection(("127.0.0.1", port))
            for source, sink in ((near, far), (far, near)):
                held: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
                threading.Thread(target=_take, args=(source, held), daemon=True).start()
                threading.Thread(target=_give, args=(held, sink), daemon=True).start()


def _take(source: socket.socket, held: "SimpleQueue[tuple[float, bytes]]") -> None:
    data = b"-"
    while data:
        try:
            data = source.recv(65536)
        except OSError:
            data = b""
        held.put((time.monotonic() + ONE_WAY_SECONDS, data))


def _give(held: "SimpleQueue[tuple[float, bytes]]", sink: socket.socket) -> None:
    with suppress(OSError):
        while True:
            due, data = held.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(data)


def _child(port: str, place: Path, own: Path, way: str) -> None:
    image = msgspec.json.decode((place / "image.json").read_bytes(), type=Image)
    client = HttpsClient(
        "https://localhost",
        tls=client_context(roots_pem=(place / "roots.pem").read_bytes()),
        resolve={"localhost:443": f"127.0.0.1:{port}"},
    )
    source, requests = HttpsSource(client), 0
    line = Line(
        bandwidth=None,
        monotonic=time.monotonic,
        now=lambda: datetime.now(UTC),
        random=lambda: 0.5,
        pause=time.sleep,
        tell=lambda event, detail: None,
    )

    def each(offset: int, length: int) -> bytes:
        """As it was before: a request for each group."""
        nonlocal requests
        requests += 1
        wanted = {"range": f"bytes={offset}-{offset + length - 1}"}
        path = source.prefix + image.path
        return client.get(path, max_bytes=length, headers=wanted).body

    account = Account(own / "transfers.json")
    began, used = time.monotonic(), time.process_time()
    with Transfer(source, image.path, image.packed, account=account, line=line) as transfer:
        read = transfer.read if way == "one-answer" else each
        install_image(image, read, own / "b", journal=own / "install.json")
    told = {
        "requests": transfer.requests or requests,
        "wall": time.monotonic() - began,
        "cpu": time.process_time() - used,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
