"""From one HTTPS request to an ASGI application and back.

Owns the translation (ASGI 3.0, HTTP scope 2.3). The verified client certificate
goes into the scope as the TLS extension says. An application that answers more
than `RESPONSE_BYTES`, or nothing, is a fault of ours.
"""

import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote, urlencode

from limpet.errors import Misuse
from limpet.https.message import Request, Response

__all__ = ["RESPONSE_BYTES", "call_asgi", "make_scope"]

RESPONSE_BYTES = 1 << 20

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


async def call_asgi(app: App, request: Request) -> Response:
    """The application's answer to `request`."""
    sent = False
    head: Message = {}
    parts: list[bytes] = []

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            head.update(message)
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))
            if sum(map(len, parts)) > RESPONSE_BYTES:
                raise Misuse(f"an answer of more than {RESPONSE_BYTES} bytes")

    await app(make_scope(request), receive, send)
    if "status" not in head:
        raise Misuse("the application did not answer")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head["headers"]}
    headers.pop("content-length", None)  # the server counts
    return Response(status=head["status"], headers=headers, body=b"".join(parts))


def make_scope(request: Request) -> Message:
    """The ASGI scope of a request."""
    headers = [(name.encode("latin-1"), value.encode()) for name, value in request.headers.items()]
    certificate = request.peer.certificate_der
    chain = [] if certificate is None else [ssl.DER_cert_to_PEM_cert(certificate)]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "https",
        "path": request.path,
        "raw_path": quote(request.path).encode("ascii"),
        "query_string": urlencode(request.query).encode("ascii"),
        "root_path": "",
        "headers": headers,
        "client": (request.peer.address, request.peer.port),
        "server": None,
        "extensions": {"tls": {"client_cert_chain": chain, "client_cert_name": None}},
        "state": {},
    }
