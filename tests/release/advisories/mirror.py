"""A real HTTPS server of dumps on loopback that answers as a test says."""

import contextlib
import http.server
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.release.advisories.records import Record, record, write_zip

from limpet.crypto.certificates import issue_service, make_root
from limpet.crypto.keys import generate_key, key_to_pem
from limpet.release.advisories import RemoteDump, make_remote_dump

Handler = http.server.BaseHTTPRequestHandler
Behave = Callable[[Handler], None]


class Mirror:
    """A server whose answer is `behave`, and what it was asked for."""

    def __init__(self, directory: Path, *records: Record) -> None:
        directory.mkdir()
        self.asked: list[str] = []
        self.sent = 0
        self.behave: Behave = lambda handler: None
        held = records or (record("PYSEC-1"), record("PYSEC-2"))
        self.zip = write_zip(directory / "all.zip", *held).read_bytes()
        now = datetime.now(UTC)
        root, key = make_root("Mirror", now=now), generate_key()
        self.roots = directory / "roots.pem"
        self.roots.write_bytes(root.certificate_pem())
        self.others = directory / "others.pem"
        self.others.write_bytes(make_root("Somebody else", now=now).certificate_pem())
        (directory / "key").write_bytes(key_to_pem(key))
        chain = issue_service(root, key, hostnames=("localhost",), now=now, days=2)
        (directory / "chain").write_bytes(chain)
        mirror = self

        class Answer(Handler):
            def do_GET(self) -> None:
                mirror.asked.append(self.path)
                self.close_connection = True
                with contextlib.suppress(OSError):
                    mirror.behave(self)

            def log_message(self, *_: object) -> None:
                """Nothing to the terminal."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "chain", directory / "key")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.server_port}/PyPI/all.zip"

    def dump(self, *, seconds: float = 10.0, roots: Path | None = None) -> RemoteDump:
        pem = (roots or self.roots).read_bytes()
        return make_remote_dump(self.url, roots_pem=pem, seconds=seconds)

    def answer(self, body: bytes, *headers: tuple[str, str], status: int = 200) -> None:
        """From now on send `headers`, then `body`, then end the connection."""

        def behave(handler: Handler) -> None:
            begin(handler, *headers, status=status)
            handler.wfile.write(body)

        self.behave = behave

    def serve(self) -> None:
        """The whole dump, from now on."""
        self.answer(self.zip, length(self.zip))

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)


def begin(handler: Handler, *headers: tuple[str, str], status: int = 200) -> None:
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()


def length(body: bytes, more: int = 0) -> tuple[str, str]:
    return "content-length", str(len(body) + more)


def raw(handler: Handler, header: bytes, body: bytes) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n\r\n" + body)
