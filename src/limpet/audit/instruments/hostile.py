"""Input that no honest client sends: each ordeal is one request, byte by byte.

Owns the bytes and reading the status of what came back. Every ordeal has its own
connection, and a bound on bytes and time.
"""

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from limpet.audit.instruments.http import converse
from limpet.audit.instruments.tls import suspicious_context
from limpet.audit.target import Endpoint, Target
from limpet.errors import LimpetError

__all__ = [
    "Ordeal",
    "send_foreign_names",
    "send_hostile_input",
    "send_relay_requests",
    "still_answers",
]

SECONDS = 3.0
MAX_ANSWER = 16 << 10
_LOGIN = b"POST /v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
_GET = b"GET /v1/identity HTTP/1.1\r\nHost: localhost\r\n"

HOSTILE: Mapping[str, bytes] = {
    "two lengths": _LOGIN + b"Content-Length: 2\r\nContent-Length: 30\r\n\r\n{}",
    "length and chunks": _LOGIN
    + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a negative length": _LOGIN + b"Content-Length: -1\r\n\r\n",
    "a header of 64 KiB": _GET + b"X: " + b"a" * (64 << 10) + b"\r\n\r\n",
    "not HTTP": b"\x00\xff\x16\x03" * 64 + b"\r\n\r\n",
    "a body that is not JSON": _LOGIN + b'Content-Length: 9\r\n\r\n{"name": ',
    "JSON 2,000 levels deep": _LOGIN + b"Content-Length: 4000\r\n\r\n" + b"[" * 2000 + b"]" * 2000,
    "a path that climbs": b"GET /../../keeper/identity.key HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a path that climbs, encoded": b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n"
    b"Host: localhost\r\n\r\n",
    "a NUL in the path": b"GET /v1/identity%00.json HTTP/1.1\r\nHost: localhost\r\n\r\n",
}
RELAYS: Mapping[str, bytes] = {
    "CONNECT": b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
    "a foreign absolute URL": b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
}
FOREIGN: Mapping[str, bytes] = {
    "a foreign Host": b"GET /v1/identity HTTP/1.1\r\nHost: attacker.example\r\n\r\n",
    "a foreign Origin": _LOGIN + b"Origin: https://attacker.example\r\nContent-Length: 2\r\n\r\n{}",
}


@dataclass(frozen=True, slots=True)
class Ordeal:
    """One hostile input, and the status of the answer (0: closed or silent)."""

    name: str
    status: int


def send_hostile_input(target: Target) -> tuple[Ordeal, ...]:
    """Each of `HOSTILE` to the device."""
    return _send_all(target, HOSTILE)


def send_relay_requests(target: Target) -> tuple[Ordeal, ...]:
    """Requests to pass something on to another host."""
    return _send_all(target, RELAYS)


def send_foreign_names(target: Target) -> tuple[Ordeal, ...]:
    """What a hostile page in the owner's browser would send (DNS rebinding, CSRF)."""
    return _send_all(target, FOREIGN)


def still_answers(target: Target) -> bool:
    """Whether the device tells its identity now."""
    try:
        with converse(target) as conversation:
            return conversation.ask("GET", "/v1/identity").status == 200
    except LimpetError:
        return False


def _send_all(target: Target, ordeals: Mapping[str, bytes]) -> tuple[Ordeal, ...]:
    endpoint = target.need(target.device, "device URL")
    results = []
    for name, data in ordeals.items():
        with target.doors:
            results.append(Ordeal(name, _send(endpoint, data)))
    return tuple(results)


def _send(endpoint: Endpoint, data: bytes) -> int:
    received = b""
    with (
        socket.create_connection(endpoint.peer, timeout=SECONDS) as raw,
        suspicious_context().wrap_socket(raw, server_hostname=endpoint.host) as connection,
        contextlib.suppress(OSError),  # closed: what came so far is the answer
    ):
        connection.sendall(data)
        while len(received) < MAX_ANSWER and b"\r\n" not in received:
            chunk = connection.recv(4096)
            if not chunk:
                break
            received += chunk
    words = received.split(b" ", 2)
    return int(words[1]) if received.startswith(b"HTTP/") and words[1].isdigit() else 0
