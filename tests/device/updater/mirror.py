"""A vendor's server of images on loopback, over real TLS, that may misbehave as a test says."""

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.https.conftest import Identity

from limpet.crypto.tls import client_context, server_context
from limpet.device.updater.source import HttpsSource
from limpet.https.client import HttpsClient, Timeouts

RANGE = re.compile(r"range: bytes=(\d+)-(\d+)", re.IGNORECASE)


@dataclass
class Asked:
    """One request: which, for which bytes, and the way back."""

    number: int
    head: str
    tls: ssl.SSLSocket
    first: int
    end: int  # exclusive

    def say(self, status: str, *headers: str, body: bytes = b"") -> None:
        lines = [f"HTTP/1.1 {status}", *headers, "", ""]
        self.tls.sendall("\r\n".join(lines).encode() + body)

    def cut(self) -> None:
        """End the connection as a broken line does."""
        # What lies in the buffers is gone: the kernel sends a reset.
        self.tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionError


Behaviour = Callable[["Mirror", Asked], None]


def serve_range(mirror: "Mirror", asked: Asked) -> None:
    """As every file server does."""
    send_part(mirror, asked, asked.end - asked.first)


def send_part(mirror: "Mirror", asked: Asked, count: int) -> None:
    """The head of an honest answer, and `count` bytes of its body."""
    whole = len(mirror.data)
    asked.say(
        "206 Partial Content",
        f"content-range: bytes {asked.first}-{asked.end - 1}/{whole}",
        f"content-length: {asked.end - asked.first}",
    )
    asked.tls.sendall(mirror.data[asked.first : asked.first + count])


@dataclass
class Mirror:
    """The server; `asked` are the requests so far."""

    data: bytes
    behaviour: Behaviour = serve_range
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    identity: Identity | None = None

    @property
    def starts(self) -> list[int]:
        """Where each request began."""
        return [asked.first for asked in self.asked]

    def source(self, *, total: float = 5.0) -> HttpsSource:
        """As the updater makes it."""
        assert self.identity is not None
        client = HttpsClient(
            "https://localhost",
            tls=client_context(roots_pem=self.identity.roots),
            resolve={"localhost:443": f"127.0.0.1:{self.port}"},
            timeouts=Timeouts(connect=5.0, total=total),
        )
        return HttpsSource(client)

    def serve(self, raw: socket.socket, context: ssl.SSLContext) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as tls:
            while head := _read_head(tls):
                found = RANGE.search(head)
                first, last = (int(found[1]), int(found[2])) if found else (0, len(self.data) - 1)
                asked = Asked(len(self.asked), head, tls, first, last + 1)
                self.asked.append(asked)
                self.behaviour(self, asked)


def _read_head(tls: ssl.SSLSocket) -> str:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        part = tls.recv(4096)
        if not part:
            return ""
        data += part
    return data.decode("latin-1")


@contextmanager
def mirror_of(
    data: bytes, identity: Identity, behaviour: Behaviour = serve_range
) -> Iterator[Mirror]:
    """A mirror of one file, whatever path is asked."""
    mirror = Mirror(data, behaviour, identity=identity)
    context = server_context(identity.chain, identity.key)
    listener = socket.create_server(("127.0.0.1", 0))
    mirror.port = listener.getsockname()[1]

    def accept() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=mirror.serve, args=(raw, context), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield mirror
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
