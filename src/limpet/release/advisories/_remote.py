"""A dump of advisories at an https URL, fetched into a file that has no name.

Owns the fetch and its bounds: size, one deadline for all of it, no redirect. Believes nothing
that the server says of its answer but what refuses it; whether the file is a whole dump, the
import finds out, as of one on disk. The file is gone however the process ends.
"""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from limpet.crypto.suites import TlsUse
from limpet.crypto.tls import client_context
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.https.client import HttpsClient, StreamedResponse, Timeouts
from limpet.https.url import split_https_url
from limpet.storage import advice_for, make_directory, reason_for

from ._source import Bounds

__all__ = ["FETCH_SECONDS", "RemoteDump", "fetch_dump", "make_remote_dump"]

FETCH_SECONDS = 1800.0
"""For a whole fetch, from the connection to the last byte."""

_HEAD_SECONDS = 30.0  # until the answer begins
_PAUSE_SECONDS = 30.0  # between two chunks of it
_NOTE_EVERY = 1 << 20
_HEADERS = {"user-agent": "limpet-advisories"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteDump:
    """Where a ZIP of advisories is, whom to believe that it is there, how long it may take."""

    origin: str  # https://host:port
    path: str = field(repr=False)  # with the query, which may hold a secret
    roots_pem: bytes = field(repr=False)
    seconds: float = FETCH_SECONDS

    def __str__(self) -> str:
        """The URL without its query, for messages."""
        return self.origin + self.path.partition("?")[0]


def make_remote_dump(url: str, *, roots_pem: bytes, seconds: float = FETCH_SECONDS) -> RemoteDump:
    """A dump at `url`. Raises `Rejected("bad-url")` for what is not plain https."""
    parts = split_https_url(url)
    if parts is None:
        message = "a dump is fetched from an https URL only, without user name and fragment"
        raise Rejected("bad-url", message, hint="as --import https://mirror.example/PyPI/all.zip")
    return RemoteDump(origin=parts[0], path=parts[1], roots_pem=roots_pem, seconds=seconds)


@contextlib.contextmanager
def fetch_dump(
    dump: RemoteDump, beside: Path, *, bounds: Bounds, progress: Callable[[str], None]
) -> Iterator[Path]:
    """The ZIP at `dump` in a file, for as long as the block runs; errors in it name the URL.

    The file is in the directory of `beside`, which has room for the store, too. Raises
    `Unavailable` if it cannot be had whole and in time, `Rejected` if the server is not believed,
    sends elsewhere, or sends more than `bounds.fetched_bytes`.
    """
    make_directory(beside.parent)
    with _told(beside), tempfile.TemporaryFile(dir=beside.parent) as file:
        _fetch(dump, file, bounds.fetched_bytes, progress)
        path = Path(f"/proc/self/fd/{file.fileno()}")
        try:
            yield path
        except LimpetError as error:
            error.message = error.message.replace(str(path), str(dump))
            raise


def _fetch(
    dump: RemoteDump, file: IO[bytes], max_bytes: int, progress: Callable[[str], None]
) -> None:
    deadline = time.monotonic() + dump.seconds
    timeouts = Timeouts(total=min(_HEAD_SECONDS, dump.seconds))

    def wait() -> float:
        return min(_PAUSE_SECONDS, deadline - time.monotonic())

    tls = client_context(roots_pem=dump.roots_pem, use=TlsUse.OUTBOUND)
    progress("connecting")
    with (
        _named(dump),
        HttpsClient(dump.origin, tls=tls, timeouts=timeouts) as client,
        client.stream(dump.path, wait=wait, headers=_HEADERS) as answer,
    ):
        of = _require_answer(answer, max_bytes)
        done = noted = 0
        for chunk in answer.chunks:
            done += len(chunk)
            if done > max_bytes:
                raise _too_large(max_bytes)
            file.write(chunk)
            if done - noted >= _NOTE_EVERY:
                noted = done
                progress(f"fetched {done / 1e6:,.0f}{of} MB")
        file.flush()


def _require_answer(answer: StreamedResponse, max_bytes: int) -> str:
    """Refuse what is no dump by its head; how much it says there is, for the progress."""
    if 300 <= answer.status < 400:
        where = answer.headers.get("location", "nowhere")[:200]
        message = f"the server sends elsewhere ({answer.status}: {where})"
        raise Rejected("redirected", message, hint="if you trust that place, import from there")
    if answer.status != 200:
        raise Unavailable(f"the server answers {answer.status}", hint="is it the URL of a dump?")
    said = answer.headers.get("content-length")
    if said is None:
        return ""
    if int(said) > max_bytes:  # h11 lets digits through only, and few of them
        raise _too_large(max_bytes)
    return f" of {int(said) / 1e6:,.0f}"


def _too_large(max_bytes: int) -> Rejected:
    return Rejected("too-large", f"it is larger than the {max_bytes:,} bytes that an import takes")


@contextlib.contextmanager
def _named(dump: RemoteDump) -> Iterator[None]:
    """Every failure of a fetch says of which, and that nothing came of it."""
    try:
        yield
    except (Rejected, Unavailable) as error:
        error.message = f"cannot fetch {dump}: {error.message}"
        error.hint = error.hint or "the advisories on file are as before; try again"
        raise


@contextlib.contextmanager
def _told(beside: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"cannot write into {beside.parent}: {(error.strerror or 'failed').lower()}"
        raise Unavailable(message, hint=advice_for(error), reason=reason_for(error)) from error
