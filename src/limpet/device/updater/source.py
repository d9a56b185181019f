"""The vendor's repository as the updater reads it: two kinds of bounded requests.

Owns the translation of HTTP answers into errors, and the limit to the hosts that
the product declares. Knows nothing of metadata. Everything above it takes the
`Source` protocol, so that a test puts a hostile repository in its place.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Protocol

from limpet.device.link.destinations import destination
from limpet.errors import Rejected, Unavailable
from limpet.https.client import ClientResponse, HttpsClient, Timeouts

__all__ = [
    "HTTPS_PORT",
    "Busy",
    "HttpsSource",
    "NotFound",
    "Source",
    "make_client",
    "parse_retry_after",
    "vendor_host",
]

HTTPS_PORT = 443

_TIMEOUTS = Timeouts(connect=10.0, total=60.0)
"""A group of 1 MiB in a minute: slower links do not update."""

_OK, _PARTIAL = 200, 206
_NOT_FOUND = frozenset({403, 404, 410})
_BUSY = frozenset({429, 503})


class NotFound(Unavailable):
    """The server has no such file. `status` is what it said."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Busy(Unavailable):
    """The server asks for patience: `retry_after` seconds, or None."""

    def __init__(self, message: str, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Source(Protocol):
    """Where files of the repository come from; paths are relative to it, percent-encoded."""

    def get(self, path: str, *, max_bytes: int) -> bytes:
        """The whole file. Raises `NotFound`, `Busy`, `Unavailable`, `Rejected("too-large")`."""

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """Exactly these bytes. Raises as `get`."""


@dataclass(frozen=True, slots=True)
class HttpsSource:
    """A repository behind HTTPS."""

    client: HttpsClient
    prefix: str = "/repository/"

    def get(self, path: str, *, max_bytes: int) -> bytes:
        """As `Source.get`."""
        answer = self.client.get(self.prefix + path, max_bytes=max_bytes)
        _verify_status(answer, path, _OK)
        return answer.body

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """As `Source.read_range` (RFC 9110, 14.2)."""
        wanted = {"range": f"bytes={offset}-{offset + length - 1}"}
        answer = self.client.get(self.prefix + path, max_bytes=length, headers=wanted)
        _verify_status(answer, path, _PARTIAL)
        shown = answer.headers.get("content-range", "")
        if not shown.startswith(f"bytes {offset}-") or len(answer.body) != length:
            raise Rejected("malformed", f"the server answered another range of {path}")
        return answer.body


def vendor_host(hosts: tuple[str, ...]) -> str:
    """The host that serves this product: the first of the design file's."""
    if not hosts:
        raise Unavailable("the product names no vendor host", hint="see [vendor] in product.toml")
    return hosts[0]


def make_client(
    host: str,
    *,
    tls: ssl.SSLContext,
    allowed: tuple[str, ...],
    resolve: Mapping[str, str],
) -> HttpsClient:
    """A client for `host`, which must be one of the product's (draft-moore, 2.1).

    It connects to an address that such a host can have, whatever the name server says.
    """
    if host not in allowed:
        raise Rejected("host-not-allowed", f"{host} is not a host of this product")
    where = destination(host, HTTPS_PORT, resolve)
    return HttpsClient(f"https://{host}", tls=tls, timeouts=_TIMEOUTS, connect=where.connect)


def parse_retry_after(text: str, *, date: str = "") -> float | None:
    """Seconds that a Retry-After asks for (RFC 9110, 10.2.3), or None if it says nothing.

    A date is read against the server's own `date`, because this device's clock may be wrong.
    """
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - parsedate_to_datetime(date)).total_seconds(), 0)
    except (ValueError, TypeError):
        return None


def _verify_status(answer: ClientResponse, path: str, expected: int) -> None:
    if answer.status == expected:
        return
    if answer.status in _NOT_FOUND:
        raise NotFound(f"the vendor has no {path}", answer.status)
    if answer.status in _BUSY:
        headers = answer.headers
        wait = parse_retry_after(headers.get("retry-after", ""), date=headers.get("date", ""))
        raise Busy(f"the vendor is busy ({answer.status})", wait)
    raise Unavailable(f"the vendor answered {answer.status} for {path}")
