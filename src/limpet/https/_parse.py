"""From h11's events to a `Request`: what is ambiguous is refused, never guessed.

Owns the reading of a request's target and header. Request smuggling (RFC 9112,
11.2) needs two readers that disagree: a transfer coding, a repeated single
header or a path with two readings is therefore refused outright.
"""

import functools
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, unquote_to_bytes

import h11

from limpet.errors import Rejected
from limpet.https.limits import Limits

__all__ = ["Head", "parse_head"]

REPEATED_BYTES = 256
"""Longest path that is remembered."""

_SINGLE = frozenset(
    {"host", "authorization", "content-type", "origin", "content-length", "range", "if-none-match",
     "if-range", "cookie", "sec-fetch-site", "expect", "content-encoding"}
)  # fmt: skip
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class Head:
    """The verified header of one request."""

    __slots__ = ("headers", "length", "method", "path", "query")

    def __init__(self, event: h11.Request, limits: Limits) -> None:
        # h11 bounds a header only while it is incomplete.
        size = len(event.target) + sum(len(name) + len(value) + 4 for name, value in event.headers)
        if size > limits.header_bytes:
            raise Rejected("header-too-large", f"at most {limits.header_bytes} bytes of header")
        self.method = event.method.decode("ascii")
        if self.method not in _METHODS:
            raise Rejected("method", "this method is not known")
        self.headers = _headers(event.headers)
        if "transfer-encoding" in self.headers:
            raise Rejected("length-required", "send Content-Length, not a transfer coding")
        self.length = int(self.headers.get("content-length", "0"))
        if self.length > limits.body_bytes:
            raise Rejected("too-large", f"a body of at most {limits.body_bytes} bytes is read")
        self.path, self.query = _target(event.target, limits)


def parse_head(event: h11.Request, limits: Limits) -> Head:
    """The header of a request, or `Rejected` with reason malformed, method, length-required,
    too-large or header-too-large."""
    return Head(event, limits)


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("ascii").lower(), raw_value.decode("latin-1")
        if name in headers:
            if name in _SINGLE:
                raise Rejected("malformed", f"the header {name} came twice")
            value = f"{headers[name]}, {value}"
        headers[name] = value
    if "host" not in headers:
        raise Rejected("malformed", "the header host is missing")
    return headers


def _target(raw: bytes, limits: Limits) -> tuple[str, Mapping[str, str]]:
    raw_path, _, raw_query = raw.partition(b"?")
    if b"#" in raw_query:
        raise Rejected("malformed", "the request target must be a path")
    path = _repeated_path(raw_path) if len(raw_path) <= REPEATED_BYTES else _path(raw_path)
    if not raw_query:
        return path, {}
    try:
        pairs = _pairs(raw_query, limits)
    except ValueError as error:
        raise Rejected("malformed", "the request target cannot be read") from error
    query = dict(pairs)
    if len(query) != len(pairs):
        raise Rejected("malformed", "a query parameter came twice")
    return path, query


def _path(raw: bytes) -> str:
    if not raw.startswith(b"/") or b"#" in raw:
        raise Rejected("malformed", "the request target must be a path")
    try:
        path = unquote_to_bytes(raw).decode("utf-8")
    except ValueError as error:
        raise Rejected("malformed", "the request target cannot be read") from error
    segments = path.removesuffix("/").split("/")[1:]
    if any(part in ("", ".", "..") for part in segments) or not path.isprintable() or "\\" in path:
        raise Rejected("malformed", "the request target is not in its plain form")
    return path


_repeated_path = functools.lru_cache(maxsize=128)(_path)
"""Clients ask for the same paths again and again; a refused one is judged anew each time."""


def _pairs(raw: bytes, limits: Limits) -> list[tuple[str, str]]:
    return parse_qsl(
        raw.decode("ascii"),
        keep_blank_values=True,
        strict_parsing=True,
        errors="strict",
        max_num_fields=limits.query_fields,
    )
