"""One image on its way: a single answer read piece by piece, and gone on with after any cut.

Owns the requests for one file, what is tried again and when, and that no byte is fetched which
`limpet.device.updater.ledger` has not written down before. Serves ranges in the order in which an
installation reads them; holds one piece of at most that length and one chunk of the answer, never
more. Believes nothing of what comes: whoever reads compares each piece with its signed hash.

After a cut the next request begins at the byte after the last one that came, after a restart at the
end of the last durable group. A server is slow, not only silent, when it brings less than
`LEAST_RATE` (pacing.py): slow retrieval ends as a cut does.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from limpet.device.updater.ledger import (
    LEASE_BYTES,
    Ledger,
    Spent,
    begin_day,
    decide_allowance,
    lease,
    load_ledger,
    refuse,
    save_ledger,
    settle_lease,
)
from limpet.device.updater.pacing import (
    MAX_FRUITLESS,
    PATIENCE_SECONDS,
    Bandwidth,
    Patience,
    decide_pause,
)
from limpet.device.updater.source import Busy, FileRefused, Source
from limpet.errors import Unavailable
from limpet.https.client import TOO_SLOW, UNREACHABLE
from limpet.storage import STORAGE_REASONS

__all__ = ["Account", "DaySpent", "Line", "Transfer"]

FRUIT_BYTES = 64 << 10
"""A request that brought less is fruitless: a server that gives a byte for each is not asked for
ever, and one that gives this much has used the day's bytes after 8,192 requests."""


class DaySpent(Unavailable):
    """What may be fetched today is used up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a transfer needs from outside. `pause` blocks, and may raise `Unavailable` to end."""

    bandwidth: int | None  # bytes a second
    monotonic: Callable[[], float]
    now: Callable[[], datetime]  # UTC
    random: Callable[[], float]  # uniform in [0, 1)
    pause: Callable[[float], None]
    tell: Callable[[str, str], None]  # an event and what happened, for the device's log
    moved: Callable[[str, int, int], None] = lambda path, done, size: None  # for who looks on
    patience_seconds: float = PATIENCE_SECONDS


class Account:
    """The ledger on disk, and the lease of the transfer under way."""

    def __init__(self, file: Path, warn: Callable[[str, str], None] | None = None) -> None:
        self._file = file
        self.ledger, warning = load_ledger(file)
        if warning and warn is not None:
            warn("transfers-damaged", warning)

    def begin_try(self, path: str, now: datetime) -> int:
        """Write a request and a lease down; how many bytes it may bring. Raises `DaySpent`."""
        return self._lease(path, now, tries=1)

    def extend(self, path: str, now: datetime, *, fruitful: bool) -> int:
        """Another lease for the same request. Raises `DaySpent`."""
        return self._lease(path, now, tries=-1 if fruitful else 0)

    def end_try(self, path: str, unused: int, *, fruitful: bool) -> None:
        """Give back what was not used."""
        if unused or fruitful:
            self._keep(settle_lease(self.ledger, path, unused, tries=1 if fruitful else 0))

    def refuse(self, path: str, status: int, *, metadata: str) -> None:
        """Write a final answer down."""
        self._keep(refuse(self.ledger, path, status, metadata=metadata))

    def _lease(self, path: str, now: datetime, *, tries: int) -> int:
        allowed = decide_allowance(self.ledger, path, now)
        if isinstance(allowed, Spent):
            raise DaySpent(allowed.text, reason="day-spent")
        count = min(LEASE_BYTES, allowed)
        today = begin_day(self.ledger, now)
        self._keep(lease(today, path, count, now, tries=tries))
        return count

    def _keep(self, ledger: Ledger) -> None:
        save_ledger(self._file, ledger)
        self.ledger = ledger


@dataclass(slots=True)
class _Answer:
    """One answer that is being read, and what of its lease is left."""

    chunks: Iterator[bytes]
    close: Callable[[], None]
    patience: Patience
    lease: int
    came: int = 0
    refunded: bool = False
    rest: bytes = b""


class Transfer:
    """Reads of one file of `size` bytes; close it in the end, whatever happened."""

    def __init__(self, source: Source, path: str, size: int, *, account: Account, line: Line):
        self._source, self._path, self._size = source, path, size
        self._account, self._line = account, line
        self._bandwidth = Bandwidth(line.bandwidth)
        self._answer: _Answer | None = None
        self._at = 0  # the byte that the answer brings next
        self._fruitless = 0
        self.requests = self.fetched = 0

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset` on (a `ReadRange`).

        Cuts, slow servers and 5xx are borne, with pauses, while requests bring something. Raises
        `FileRefused` for a final answer, `Busy`, `DaySpent`, `Unavailable` when nothing comes any
        more, `Rejected("malformed")`.
        """
        piece = bytearray()
        while len(piece) < length:
            try:
                piece += self._take(offset + len(piece), length - len(piece))
            except (Busy, FileRefused, DaySpent):
                self.close()
                raise
            except Unavailable as cut:
                if cut.reason in STORAGE_REASONS:  # our own disk: no server mends it
                    raise
                self._bear(cut, offset + len(piece))
        if offset + length >= self._size:
            came = f"{self.fetched} bytes of {self._size} in {self.requests} answers"
            self._line.tell("transfer-done", came)
        return bytes(piece)

    def close(self) -> None:
        """End the answer under way and give back what was not used of its lease."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        answer.close()
        fruitful = answer.came >= FRUIT_BYTES
        self._fruitless = 0 if fruitful else self._fruitless + 1
        refund = fruitful and not answer.refunded
        self._account.end_try(self._path, answer.lease, fruitful=refund)

    def __enter__(self) -> "Transfer":
        """Use as a context to close it in the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _bear(self, cut: Unavailable, at: int) -> None:
        """Wait before the next request, or give up until the next check."""
        self.close()
        if self._fruitless > MAX_FRUITLESS:
            raise cut
        wait = decide_pause(self._fruitless, self._line.random)
        where = f"byte {at} of {self._size}"
        self._line.tell("transfer-cut", f"at {where}: {cut.message}; again in {wait:.0f} s")
        self._line.pause(wait)

    def _take(self, offset: int, length: int) -> bytes:
        """At least one byte, at most `length`, from `offset` on."""
        if self._answer is None or self._at != offset:
            self.close()
            self._ask(offset)
        answer = self._answer
        if answer is None:
            raise Unavailable("no answer is read")
        if not answer.rest:
            answer.rest = self._next(answer)
        taken, answer.rest = answer.rest[:length], answer.rest[length:]
        self._at += len(taken)
        return taken

    def _ask(self, offset: int) -> None:
        now, path = self._line.now(), self._path
        granted = self._account.begin_try(path, now)
        self.requests += 1
        patience = Patience(span=self._line.patience_seconds)
        closing = contextlib.ExitStack()
        # Counted as an answer that brought nothing until it does.
        self._answer = _Answer(iter(()), closing.close, patience, granted)
        self._at = offset
        entered = self._source.stream(path, offset, self._size, wait=lambda: patience.left)
        self._answer.chunks = closing.enter_context(entered)
        if offset and self.requests == 1:
            self._line.tell(
                "transfer-resumed", f"at byte {offset} of {self._size}: the rest is here"
            )

    def _next(self, answer: _Answer) -> bytes:
        """The next chunk, no faster than the limit and no slower than a server may be."""
        line = self._line
        if answer.lease <= 0:
            fruitful = answer.came >= FRUIT_BYTES and not answer.refunded
            answer.lease = self._account.extend(self._path, line.now(), fruitful=fruitful)
            answer.refunded = answer.refunded or fruitful
        began = line.monotonic()
        chunk = next(answer.chunks, b"")
        waited = line.monotonic() - began
        if not chunk:
            raise Unavailable("the answer ended before the file did", reason=UNREACHABLE)
        answer.came += len(chunk)
        answer.lease -= len(chunk)
        self.fetched += len(chunk)
        line.moved(self._path, self._at + len(chunk), self._size)
        if not answer.patience.heard(len(chunk), waited):
            raise Unavailable(
                "the vendor's server is too slow",
                hint="it must bring 1 KiB a second",
                reason=TOO_SLOW,
            )
        line.pause(self._bandwidth.took(len(chunk), line.monotonic()))
        return chunk
