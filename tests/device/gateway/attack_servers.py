"""What attack tools are shown beside the device: servers without its defences, and a relay.

The servers are the positive control: a tool that finds nothing there proves nothing here.
The relay gives a tool that knows only forms or Basic, and one address, the device's JSON,
and a source address of its own for each guess.
"""

import base64
import collections
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import msgspec

from limpet.crypto.certificates import Issuer, issue_operational
from limpet.crypto.keys import generate_key, key_to_pem
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.crypto.tls import client_context

__all__ = [
    "Relay",
    "careless_login",
    "careless_server",
    "loopback_source",
    "relay_to",
    "server_certificate",
]

RETRIES, RETRY_SECONDS = 60, 0.1  # of a guess whose connection was dropped before it was made


def loopback_source(number: int) -> str:
    """An address of this machine for the guess of that number."""
    return f"127.9.{number // 250 % 250}.{number % 250 + 1}"


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def reply(self, status: int, body: bytes) -> None:
        """Answer and close."""
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True


@contextlib.contextmanager
def _running(server: HTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def careless_login(password: str) -> type[BaseHTTPRequestHandler]:
    """A login like the device's, that may be tried as often as one likes."""

    class Login(_Quiet):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            right = msgspec.json.decode(body, type=dict[str, str])["password"] == password
            if right:
                self.reply(201, b'{"token":"x","expires_at":"never"}')
            else:
                self.reply(401, b'{"reason":"wrong-credentials"}')

    return Login


@contextlib.contextmanager
def careless_server(
    handler: type[BaseHTTPRequestHandler],
    certificate: Path,
    *,
    at_once: int = 8,
    host: str = "127.0.0.1",
) -> Iterator[int]:
    """An HTTPS server with `at_once` workers and no deadline; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    slots = threading.Semaphore(at_once)

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True
        request_queue_size = 128

        def process_request_thread(self, request: socket.socket, client_address: object) -> None:
            with slots, contextlib.suppress(OSError):
                secured = context.wrap_socket(request, server_side=True)
                super().process_request_thread(secured, client_address)

        def handle_error(self, request: object, client_address: object) -> None:
            """A tool breaks connections off; that is its work."""

    with _running(Server((host, 0), handler)) as port:
        yield port


def server_certificate(root: Issuer, directory: Path) -> Path:
    """Key and chain of a server on this machine, from the device's root."""
    key = generate_key()
    csr = make_request(key, model="thermostat", serial="localhost", purpose=Purpose.SERVER)
    chain = issue_operational(
        root,
        verify_request(csr),
        now=datetime.now(UTC),
        lifetime=timedelta(days=1),
        addresses=("127.0.0.1",),
    )
    path = directory / "server.pem"
    path.write_bytes(key_to_pem(key) + chain)
    return path


class Relay:
    """Makes guesses at a device, and counts them, their answers and the addresses they came from.

    A guess whose connection is dropped before an answer is made again from the next address.
    """

    def __init__(
        self, device: tuple[str, int], roots_pem: bytes, source: Callable[[int], str]
    ) -> None:
        self._device, self._source = device, source
        self._tls = client_context(roots_pem=roots_pem)
        self._lock = threading.Lock()
        self.statuses: collections.Counter[int] = collections.Counter()
        self.passwords: set[str] = set()
        self.sources: set[str] = set()
        self.tries = 0  # connections; more than answers where some were dropped
        self.port = 0

    def guess(self, name: str, password: str) -> tuple[int, bytes]:
        """Status and body; status 0 where there was no answer at all."""
        for _ in range(RETRIES):
            with self._lock:
                address = self._source(self.tries)
                self.tries += 1
                self.sources.add(address)
                self.passwords.add(password)
            status, body = _guess(self._tls, self._device, name, password, address)
            if status:
                with self._lock:
                    self.statuses[status] += 1
                return status, body
            time.sleep(RETRY_SECONDS)
        return 0, b"no answer"


@contextlib.contextmanager
def relay_to(
    port: int,
    roots_pem: bytes,
    *,
    host: str = "127.0.0.1",
    source: Callable[[int], str] = loopback_source,
) -> Iterator[Relay]:
    """Take guesses in the clear and make each at `port` over TLS, from an address of its own."""
    relay = Relay((host, port), roots_pem, source)
    with _running(ThreadingHTTPServer(("127.0.0.1", 0), _form_and_basic(relay))) as relay.port:
        yield relay


def _form_and_basic(relay: Relay) -> type[BaseHTTPRequestHandler]:
    """How tools guess: by a form at /login (POST; the device's answer is given back), or by
    Basic at any path (GET; 200 for a session, 401 for anything else)."""

    class Login(_Quiet):
        def do_GET(self) -> None:
            scheme, _, shown = self.headers.get("authorization", "").partition(" ")
            if scheme.lower() == "basic":
                name, _, password = base64.b64decode(shown).decode().partition(":")
                if relay.guess(name, password)[0] == 201:
                    self.reply(200, b"welcome")
                    return
            self.challenge()

        do_HEAD = do_GET

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            self.reply(200, relay.guess(form["name"][0], form["password"][0])[1])

        def challenge(self) -> None:
            """RFC 7617, 2."""
            self.send_response(401)
            self.send_header("www-authenticate", 'Basic realm="device"')
            self.send_header("content-length", "0")
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True

    return Login


def _guess(
    tls: ssl.SSLContext, device: tuple[str, int], name: str, password: str, source: str
) -> tuple[int, bytes]:
    body = msgspec.json.encode({"name": name, "password": password})
    head = (
        "POST /v1/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    try:
        with (
            socket.create_connection(device, timeout=5, source_address=(source, 0)) as raw,
            tls.wrap_socket(raw, server_hostname="localhost") as secured,
        ):
            secured.sendall(head.encode() + body)
            answer = b""
            while piece := secured.recv(4096):
                answer += piece
        return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]
    except (OSError, IndexError):
        return 0, b"no answer"
