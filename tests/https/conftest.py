"""A real HTTPS server on loopback in a thread, and raw TLS clients that may misbehave."""

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import SystemRandom

import pytest

from limpet.crypto.certificates import issue_operational, make_root
from limpet.crypto.keys import TlsKey, generate_key
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.crypto.tls import client_context, server_context
from limpet.https.admission import FRONT, Admission, AdmissionLimits
from limpet.https.limits import Limits
from limpet.https.message import Handler, Request, Response
from limpet.https.server import Server, serve


@dataclass(frozen=True)
class Identity:
    roots: bytes
    chain: bytes
    key: TlsKey
    other_roots: bytes
    client_chain: bytes
    client_key: TlsKey


@pytest.fixture(scope="session")
def identity() -> Identity:
    return make_identity()


def make_identity() -> Identity:
    """Authorities and certificates of a server on loopback and of a client."""
    now = datetime.now(UTC)
    root, other = make_root("test root", now=now), make_root("other root", now=now)
    key, client_key = generate_key(), generate_key()

    def issue(holder: TlsKey, purpose: Purpose) -> bytes:
        request = make_request(
            holder, model="thermostat", serial="T-1", purpose=purpose, addresses=["127.0.0.1"]
        )
        return issue_operational(
            root,
            verify_request(request),
            now=now,
            lifetime=timedelta(days=1),
            addresses=["127.0.0.1"],
        )

    return Identity(
        roots=root.certificate_pem(),
        chain=issue(key, Purpose.SERVER),
        key=key,
        other_roots=other.certificate_pem(),
        client_chain=issue(client_key, Purpose.CLIENT),
        client_key=client_key,
    )


async def echo(request: Request) -> Response:
    return Response(200, {"content-type": "text/plain"}, f"{request.path}|".encode() + request.body)


@dataclass
class Running:
    server: Server
    identity: Identity
    loop: asyncio.AbstractEventLoop
    events: list[tuple[str, str]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.server.port

    def context(self) -> ssl.SSLContext:
        return client_context(roots_pem=self.identity.roots)

    @contextlib.contextmanager
    def connect(self, source: str = "127.0.0.1") -> Iterator[ssl.SSLSocket]:
        with (
            socket.create_connection(
                ("127.0.0.1", self.port), timeout=15, source_address=(source, 0)
            ) as raw,
            self.context().wrap_socket(raw, server_hostname="localhost") as tls,
        ):
            yield tls

    def plain(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(
            ("127.0.0.1", self.port), timeout=15, source_address=(source, 0)
        )

    def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            time.sleep(0.01)
        return condition()


Start = Callable[..., Running]


@pytest.fixture
def start(identity: Identity) -> Iterator[Start]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    servers: list[Server] = []

    def on_loop(coroutine: object) -> object:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(15)  # type: ignore[arg-type]

    def begin(
        handler: Handler = echo,
        *,
        limits: Limits | None = None,
        admission: AdmissionLimits = FRONT,
        client_roots: bytes | None = None,
    ) -> Running:
        events: list[tuple[str, str]] = []
        context = server_context(identity.chain, identity.key, client_roots_pem=client_roots)
        server = on_loop(
            serve(
                handler,
                host="127.0.0.1",
                port=0,
                tls=context,
                limits=limits,
                admission=Admission(admission, clock=time.monotonic, draw=SystemRandom().random),
                on_event=lambda event, detail: events.append((event, detail)),
            )
        )
        assert isinstance(server, Server)
        servers.append(server)
        return Running(server, identity, loop, events)

    yield begin
    for server in servers:
        on_loop(server.close())
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def read_all(sock: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while part := sock.recv(65536):
            parts.append(part)
    return b"".join(parts)


def read_answer(sock: socket.socket) -> bytes:
    """One answer with its Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(65536)
        if not part:
            return data
        data += part
    head = data.split(b"\r\n\r\n", 1)[0].lower()
    length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(data) < len(head) + 4 + length:
        part = sock.recv(65536)
        if not part:
            break
        data += part
    return data
