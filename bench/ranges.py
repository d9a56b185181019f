"""A web server on loopback that answers several ranges in one reply (RFC 9110, 15.3.7.2).

Owns what the downloader of zchunk needs, and nothing of its format.
"""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

__all__ = ["serve_ranges"]

_BOUNDARY = "limpet-bench-part"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    directory: Path

    def do_GET(self) -> None:
        """A file, or some ranges of it."""
        with (self.directory / os.path.basename(self.path)).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            asked = re.findall(r"(\d+)-(\d*)", self.headers.get("Range", ""))
            spans = [(int(first), min(int(last or size), size - 1)) for first, last in asked]

            def read(first: int, last: int) -> bytes:
                file.seek(first)
                return file.read(last - first + 1)

            if not spans:
                self._answer(200, read(0, size - 1), {})
            elif len(spans) == 1:
                first, last = spans[0]
                told = {"Content-Range": f"bytes {first}-{last}/{size}"}
                self._answer(206, read(first, last), told)
            else:
                parts = [
                    f"\r\n--{_BOUNDARY}\r\nContent-Type: application/octet-stream\r\n"
                    f"Content-Range: bytes {first}-{last}/{size}\r\n\r\n".encode()
                    + read(first, last)
                    for first, last in spans
                ]
                body = b"".join(parts) + f"\r\n--{_BOUNDARY}--\r\n".encode()
                told = {"Content-Type": f"multipart/byteranges; boundary={_BOUNDARY}"}
                self._answer(206, body, told)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is said."""


@contextmanager
def serve_ranges(directory: Path) -> Iterator[str]:
    """Serve the files of `directory`; the address."""
    handler = type("_Bound", (_Handler,), {"directory": directory})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
