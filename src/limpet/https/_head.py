"""The head of an answer: what h11 writes for each, and what is the same in many.

Owns the rendering. h11 checks every header; one that many answers carry is checked and
rendered once, which is what makes a set of security headers cheap.
"""

import email.utils
import functools
import http
import time
from collections.abc import Mapping
from dataclasses import dataclass

import h11

from limpet.errors import Misuse

__all__ = ["NO_HEADERS", "FixedHeaders", "fixed_headers", "phrase_of", "render_head"]

_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection", b"date"})


@dataclass(frozen=True, slots=True)
class FixedHeaders:
    """Header lines as they are sent; made by `fixed_headers` alone."""

    lines: bytes = b""


NO_HEADERS = FixedHeaders()


def fixed_headers(headers: Mapping[str, str]) -> FixedHeaders:
    """`headers`, checked by h11. Raises `Misuse` for what it refuses, and for framing."""
    try:
        checked = h11.Response(status_code=200, headers=list(headers.items())).headers
    except h11.LocalProtocolError as error:
        raise Misuse(f"not a header: {error}") from error
    if any(name in _FRAMING for name, _ in checked):
        raise Misuse("the server frames its answers itself")
    return FixedHeaders(b"".join(b"%s: %s\r\n" % pair for pair in checked))


def render_head(
    connection: h11.Connection,
    status: int,
    headers: Mapping[str, str],
    *,
    fixed: FixedHeaders,
    length: int | None,
    close: bool,
) -> bytes:
    """The head of the answer to the request that `connection` has read, with Date.

    Raises `h11.LocalProtocolError` for a header that is none.
    """
    own = list(headers.items())
    if length is not None:
        own.append(("content-length", str(length)))
    if close:
        own.append(("connection", "close"))
    answer = h11.Response(status_code=status, reason=phrase_of(status), headers=own)
    head = connection.send(answer) or b""
    return b"%s%s%s\r\n" % (head[:-2], fixed.lines, _date_line(int(time.time())))


@functools.lru_cache(maxsize=1)
def _date_line(second: int) -> bytes:
    return b"date: %s\r\n" % email.utils.formatdate(second, usegmt=True).encode()


@functools.lru_cache(maxsize=64)
def phrase_of(status: int) -> bytes:
    """The reason phrase of `status` (RFC 9110, 15), empty for one that has none."""
    try:
        return http.HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""
