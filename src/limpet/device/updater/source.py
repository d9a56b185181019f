"""The vendor's repository as the updater reads it: whole small files, and stretches of large ones.

Owns the translation of HTTP answers into errors, and the limit to the hosts that
the product declares. Knows nothing of metadata. Everything above it takes the
`Source` protocol, so that a test puts a hostile repository in its place.
"""

import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Protocol

from limpet.device.link.destinations import FindProxy, destination
from limpet.errors import Rejected, Unavailable
from limpet.https.client import ClientResponse, HttpsClient, StreamedResponse, Timeouts

__all__ = [
    "ANSWERED_BADLY",
    "BUSY",
    "HTTPS_PORT",
    "Busy",
    "FileRefused",
    "HttpsSource",
    "NotFound",
    "Source",
    "make_client",
    "parse_retry_after",
    "vendor_host",
]

HTTPS_PORT = 443

ANSWERED_BADLY = "unexpected-answer"
"""Of an answer that may be another one next time: a 5xx, mostly."""

BUSY = "busy"

_TIMEOUTS = Timeouts(connect=10.0, total=60.0)
"""For a file of metadata, and for the head of an image's answer. The image itself has a least rate
instead (`limpet.device.updater.pacing`)."""

_KERNEL_BYTES = 256 << 10
"""What the kernel holds of an answer while a group is written: what a reset loses, and what no
limit holds back. It brings 2.5 MiB a second over a line of 100 ms."""

_OK, _PARTIAL, _NOT_MODIFIED = 200, 206, 304
_NOT_FOUND = frozenset({403, 404, 410})
_BUSY = frozenset({429, 503})
_TAG_BYTES, _KEPT_BYTES, _KEPT_FILES = 128, 16 << 10, 4
_NOT_FINAL = frozenset({408, 425, 429})
"""Of 4xx, what may be answered otherwise next time (RFC 9110, 15.5.9; RFC 8470; RFC 6585)."""

_STATUS_WORDS = {403: "forbidden", 404: "not found", 410: "gone", 416: "no such range"}
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")


class NotFound(Unavailable):
    """The server has no such file. `status` is what it said."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message, reason="missing-file")
        self.status = status


class FileRefused(Unavailable):
    """The server's final answer to a file: asked again, it would say the same. `status` is it."""

    def __init__(self, path: str, status: int) -> None:
        words = _STATUS_WORDS.get(status, "a refusal")
        if 300 <= status < 400:
            words = "a redirect, which is never followed"
        super().__init__(f"the vendor answers {status} ({words}) for {path}", reason="file-refused")
        self.status = status


class Busy(Unavailable):
    """The server asks for patience: `retry_after` seconds, or None."""

    def __init__(self, message: str, retry_after: float | None) -> None:
        super().__init__(message, reason=BUSY)
        self.retry_after = retry_after


class Source(Protocol):
    """Where files of the repository come from; paths are relative to it, percent-encoded."""

    def get(self, path: str, *, max_bytes: int) -> bytes:
        """The whole file. Raises `NotFound`, `Busy`, `Unavailable`, `Rejected("too-large")`."""

    def stream(
        self, path: str, offset: int, end: int, *, wait: Callable[[], float]
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Bytes `offset` to `end` (exclusive, the file's size) in one answer, chunk by chunk.

        Each chunk must come within `wait()` seconds. Fewer bytes than asked may come. Raises
        `FileRefused`, `Busy`, `Unavailable`, `Rejected("malformed")`.
        """


@dataclass(frozen=True, slots=True)
class HttpsSource:
    """A repository behind HTTPS."""

    client: HttpsClient
    prefix: str = "/repository/"
    kept: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Entity tag and content of files that change under their name, by path: the timestamp."""

    def get(self, path: str, *, max_bytes: int) -> bytes:
        """As `Source.get`; conditional where an earlier answer is kept (RFC 9110, 13.1.2)."""
        tag, content = self.kept.get(path, ("", b""))
        condition = {"if-none-match": tag} if tag else {}
        answer = self.client.get(self.prefix + path, max_bytes=max_bytes, headers=condition)
        if tag and answer.status == _NOT_MODIFIED and len(content) <= max_bytes:
            return content
        _verify_status(answer, path)
        self._keep(path, answer)
        return answer.body

    def _keep(self, path: str, answer: ClientResponse) -> None:
        tag = answer.headers.get("etag", "")
        asks = answer.headers.get("cache-control", "") == "no-cache"  # RFC 9111, 5.2.2.4
        if asks and 0 < len(tag) <= _TAG_BYTES and len(answer.body) <= _KEPT_BYTES:
            if len(self.kept) >= _KEPT_FILES:
                self.kept.clear()
            self.kept[path] = (tag, answer.body)

    @contextmanager
    def stream(
        self, path: str, offset: int, end: int, *, wait: Callable[[], float]
    ) -> Iterator[Iterator[bytes]]:
        """As `Source.stream` (RFC 9110, 14.2).

        No If-Range: a file is named by its hash, so its name cannot stand for another content.
        """
        target = self.prefix + path
        with self.client.stream(target, offset=offset, end=end, wait=wait) as answer:
            _verify_stream(answer, path, offset, end)
            yield answer.chunks


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
    resume: bool = False,
    proxy: FindProxy = lambda: None,
) -> HttpsClient:
    """A client for `host`, which must be one of the product's (draft-moore, 2.1).

    It connects to an address that such a host can have, whatever the name server says, or
    through the proxy.
    """
    if host not in allowed:
        raise Rejected("host-not-allowed", f"{host} is not a host of this product")
    where = destination(host, HTTPS_PORT, resolve, proxy)
    return HttpsClient(
        f"https://{host}",
        tls=tls,
        timeouts=_TIMEOUTS,
        connect=where.connect,
        resume=resume,
        receive_buffer=_KERNEL_BYTES,
    )


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


def _verify_stream(answer: StreamedResponse, path: str, offset: int, end: int) -> None:
    """That the answer is the file from `offset` on; a whole file will do where all was asked."""
    if answer.status == _OK and offset == 0:
        return
    if answer.status == _PARTIAL:
        shown = _CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
        if shown is None or int(shown[1]) != offset or shown[3] not in ("*", str(end)):
            raise Rejected("malformed", f"the server answered another range of {path}")
        return
    _verify_patience(answer, path)
    if 300 <= answer.status < 500 and answer.status not in _NOT_FINAL:
        raise FileRefused(path, answer.status)
    message = f"the vendor answered {answer.status} for {path}"
    raise Unavailable(message, reason=ANSWERED_BADLY)


def _verify_status(answer: ClientResponse, path: str) -> None:
    if answer.status == _OK:
        return
    if answer.status in _NOT_FOUND:
        raise NotFound(f"the vendor has no {path}", answer.status)
    _verify_patience(answer, path)
    message = f"the vendor answered {answer.status} for {path}"
    raise Unavailable(message, reason=ANSWERED_BADLY)


def _verify_patience(answer: ClientResponse | StreamedResponse, path: str) -> None:
    if answer.status in _BUSY:
        headers = answer.headers
        wait = parse_retry_after(headers.get("retry-after", ""), date=headers.get("date", ""))
        raise Busy(f"the vendor is busy ({answer.status}) for {path}", wait)
