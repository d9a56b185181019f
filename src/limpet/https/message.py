"""Requests, responses and problem details: plain frozen data between server and handler.

Owns the shape of what a handler sees and gives. Never touches a socket.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import msgspec

from limpet.https._head import NO_HEADERS, FixedHeaders, fixed_headers

__all__ = [
    "FileBody",
    "FixedHeaders",
    "Handler",
    "Peer",
    "Request",
    "Response",
    "StreamBody",
    "fixed_headers",
    "problem",
]

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sent a request. `certificate_der` is the verified client certificate, if there is one."""

    address: str
    port: int
    certificate_der: bytes | None
    connection_id: int


class Request(msgspec.Struct, frozen=True):  # made for each request: four times a dataclass's pace
    """One whole request within the server's limits.

    `path` is percent-decoded, begins with `/` and has no empty, `.` or `..`
    segment (a final slash is kept). `query` has each name once. `headers` has
    lower-case names; a header that must be single is.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    peer: Peer


@dataclass(frozen=True, slots=True)
class FileBody:
    """`length` bytes of the file `path` from `offset` on; opened when the response is sent."""

    path: Path
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class StreamBody:
    """A body without a length: each part is sent when it is there, under its own write deadline.

    The server closes `parts` when the client is gone, and the connection when `parts` ends. How
    long the whole may take is for `parts` to bound.
    """

    parts: AsyncGenerator[bytes, None]


class Response(msgspec.Struct, frozen=True):
    """What a handler answers. The server adds Content-Length, Date and Connection itself.

    `fixed` are headers besides `headers`: the two have no name in common.
    """

    status: int
    headers: Mapping[str, str] = _NO_HEADERS
    body: bytes | FileBody | StreamBody = b""
    fixed: FixedHeaders = NO_HEADERS


Handler = Callable[[Request], Awaitable[Response]]
"""A handler may raise `LimpetError`: `Rejected` becomes 400, `Unavailable` 503, all else 500."""


def problem(
    status: int, reason: str, detail: str = "", *, headers: Mapping[str, str] = _NO_HEADERS
) -> Response:
    """A problem document (RFC 9457): `reason` is the stable word that programs look at.

    The type is `about:blank#reason`; `detail` is one line for a person and carries no secret.
    """
    document = {"type": f"about:blank#{reason}", "status": status, "reason": reason}
    if detail:
        document["detail"] = detail
    return Response(
        status=status,
        headers={**headers, "content-type": "application/problem+json"},
        body=msgspec.json.encode(document),
    )
