"""A real HTTPS server on loopback that takes notes, and may be told to behave badly."""

import http.server
import json
import ssl
import threading
from pathlib import Path

from tests.release.watch.workshop import NOW

from limpet.crypto.certificates import issue_service, make_root
from limpet.crypto.keys import generate_key, key_to_pem
from limpet.release.watch import Webhook, make_webhook

__all__ = ["Tracker"]


class Tracker:
    """Takes notes; `answers` are the statuses of the next requests, then 204. `asked` is all that
    was asked of it, whatever the answer; `location` comes with each answer, where it is set."""

    def __init__(self, directory: Path) -> None:
        self.notes: list[dict[str, object]] = []
        self.answers: list[int] = []
        self.asked: list[tuple[str, str]] = []
        self.location = ""
        self.stalls = ""  # where it stops for good: "head", "body"
        self.closing = threading.Event()
        root = make_root("Tracker", now=NOW)
        key = generate_key()
        chain = issue_service(root, key, hostnames=("localhost",), addresses=(), now=NOW, days=2)
        (directory / "tracker.key").write_bytes(key_to_pem(key))
        (directory / "tracker.pem").write_bytes(chain)
        self.roots_pem = root.certificate_pem()
        tracker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                tracker.answer(self, body)

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                """Nothing to the terminal."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "tracker.pem", directory / "tracker.key")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def answer(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        """As it was told to."""
        status = self.answers.pop(0) if self.answers else 204
        self.asked.append((request.command, request.path))
        if self.stalls == "head":
            self.closing.wait()
            return
        if 200 <= status < 300:
            self.notes.append(json.loads(body))
        request.send_response(status)
        if self.location:
            request.send_header("location", self.location)
        request.send_header("content-length", "9" if self.stalls else "0")
        request.end_headers()
        if self.stalls == "body":
            self.closing.wait()

    def url(self, *, host: str = "localhost", path: str = "/hook") -> str:
        """Of this server."""
        return f"https://{host}:{self.server.server_port}{path}"

    def webhook(self, roots_pem: bytes = b"", *, host: str = "localhost") -> Webhook:
        """Notes to it; the pauses between tries are none."""
        roots = roots_pem or self.roots_pem
        return make_webhook(self.url(host=host), roots_pem=roots, sleep=lambda seconds: None)

    def close(self) -> None:
        """End it."""
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)
