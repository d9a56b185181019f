"""What attack tools are shown beside the device: servers without its defences, and a relay.

The servers are the positive control: a tool that finds nothing there proves nothing here.
The relay gives a tool that knows only forms and one address the device's JSON, and a source
address of its own for each guess.
"""

import collections
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import msgspec

from limpet.crypto.tls import client_context

__all__ = ["Relay", "careless_login", "careless_server", "relay_to"]

SOURCES = 4000  # addresses that the relay guesses from


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
    handler: type[BaseHTTPRequestHandler], certificate: Path, *, at_once: int = 8
) -> Iterator[int]:
    """An HTTPS server with `at_once` workers and no deadline; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    slots = threading.Semaphore(at_once)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def process_request_thread(self, request: socket.socket, client_address: object) -> None:
            with slots, contextlib.suppress(OSError):
                secured = context.wrap_socket(request, server_side=True)
                super().process_request_thread(secured, client_address)

        def handle_error(self, request: object, client_address: object) -> None:
            """A tool breaks connections off; that is its work."""

    with _running(Server(("127.0.0.1", 0), handler)) as port:
        yield port


class Relay:
    """What went through: how many guesses, and what they were answered."""

    def __init__(self) -> None:
        self.statuses: collections.Counter[int] = collections.Counter()
        self.passwords: set[str] = set()
        self.port = 0


@contextlib.contextmanager
def relay_to(port: int, roots_pem: bytes) -> Iterator[Relay]:
    """Take a form at /login in the clear, guess once at `port` over TLS, give the answer back."""
    relay = Relay()
    tls = client_context(roots_pem=roots_pem)
    lock = threading.Lock()

    class Login(_Quiet):
        def do_GET(self) -> None:
            self.reply(200, b"a form")

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            password = form["password"][0]
            with lock:
                relay.passwords.add(password)
                number = sum(relay.statuses.values()) % SOURCES
                status, body = _guess(tls, port, form["name"][0], password, number)
                relay.statuses[status] += 1
            self.reply(200, body)

    with _running(ThreadingHTTPServer(("127.0.0.1", 0), Login)) as relay.port:
        yield relay


def _guess(
    tls: ssl.SSLContext, port: int, name: str, password: str, number: int
) -> tuple[int, bytes]:
    source = f"127.9.{number // 250}.{number % 250 + 1}"
    body = msgspec.json.encode({"name": name, "password": password})
    head = (
        "POST /v1/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    try:
        with (
            socket.create_connection(
                ("127.0.0.1", port), timeout=5, source_address=(source, 0)
            ) as raw,
            tls.wrap_socket(raw, server_hostname="localhost") as secured,
        ):
            secured.sendall(head.encode() + body)
            answer = b""
            while piece := secured.recv(4096):
                answer += piece
    except OSError:
        return 0, b"no answer"
    return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]
