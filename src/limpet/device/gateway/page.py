"""The device's own web page: three files, read once at the start, served to anybody.

Owns what may be served (nothing that is not in the table here) and the headers that
hold the page within its bounds. The page knows nothing of a device or of its owner;
it asks the API as every other client does, with a token that no browser sends by itself.
"""

from collections.abc import Mapping
from pathlib import Path

from limpet.https.message import Response
from limpet.storage import read_bounded

__all__ = ["PAGE", "SCRIPTS", "load_page"]

MAX_FILE = 64 << 10
PAGE = ""
"""The name of the page itself, at `/`."""

SCRIPTS = ("elements", "session", "schema", "values", "stream", "entry", "functions", "updates",
           "factor", "access", "hands", "people", "home", "device", "start")  # fmt: skip
"""The parts of `page.js`, in order: one file for the browser, since each more is a connection
more, and a stranger has four (limpet.https.admission)."""

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""CSP level 3: no inline script or style, nothing from elsewhere, no form that is really sent, and
no text that becomes markup (Trusted Types)."""

_HEADERS: Mapping[str, str] = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def load_page() -> Mapping[str, Response]:
    """Each file's answer by its name. Raises `Unavailable` if one is missing."""
    directory = Path(__file__).parent / "page"

    def read(name: str) -> bytes:
        return read_bounded(directory / name, max_bytes=MAX_FILE)

    script = b"\n".join(read(f"script/{name}.js") for name in SCRIPTS)
    return {
        PAGE: _answer("text/html; charset=utf-8", read("page.html")),
        "page.css": _answer("text/css; charset=utf-8", read("page.css")),
        "page.js": _answer(
            "text/javascript; charset=utf-8", b'"use strict";\n(() => {\n' + script + b"\n})();\n"
        ),
        "icon.svg": _answer("image/svg+xml", read("icon.svg")),
    }


def _answer(kind: str, body: bytes) -> Response:
    return Response(200, {**_HEADERS, "content-type": kind}, body)
