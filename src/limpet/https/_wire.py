"""The bytes of one connection in both directions, and the time that a phase of it may take.

Owns what was received and not yet read, the room to write, and one timer for a whole
connection. Knows neither TLS nor HTTP. A stream and a timeout of asyncio's own for each
phase of each request would cost the gateway more than parsing it does.
"""

import asyncio
from types import TracebackType
from typing import Self, cast

from limpet.errors import Misuse

__all__ = ["Deadline", "Wire"]

LOOK_SECONDS = 5.0
"""A running timer is looked at this often at least: phases that last longer set none anew."""


class Wire(asyncio.Protocol):
    """A connection's bytes. One task reads, one writes (it may be the same).

    A peer that sends more than `limit` bytes before they are read is not read from until they are.
    """

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, *, limit: int) -> None:
        self._loop = loop
        self._limit = limit
        self._received = b""
        self._ended = False
        self._error: Exception | None = None
        self._is_paused = False
        self._reader: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self.closed: asyncio.Future[None] = loop.create_future()
        self.is_full = False
        """Whether what was written waits for the peer: then `drain`."""

    async def read(self) -> bytes:
        """What has come since the last call, as soon as there is any; nothing at the end.

        Raises `ConnectionResetError` if the connection broke.
        """
        if not self._received and not self._ended:
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data, self._received = self._received, b""
        if self._is_paused:
            self._is_paused = False
            self.transport.resume_reading()
        if not data and self._error is not None:
            raise ConnectionResetError("the connection broke") from self._error
        return data

    def write(self, data: bytes) -> None:
        """Send `data` when there is room for it. Raises `ConnectionResetError` if nobody reads."""
        if self.closed.done():
            raise ConnectionResetError("the connection is closed")
        self.transport.write(data)

    async def drain(self) -> None:
        """Return when there is room again. Raises `ConnectionResetError` if there never will be."""
        if self.is_full and not self.closed.done():
            self._room = self._loop.create_future()
            try:
                await self._room
            finally:
                self._room = None
        if self.closed.done():
            raise ConnectionResetError("the connection is closed")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._received = self._received + data if self._received else data
        _wake(self._reader)
        if len(self._received) > self._limit and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    def eof_received(self) -> None:
        """Called by asyncio; the transport then closes by itself (TLS has no half of a close)."""
        self._ended = True
        _wake(self._reader)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self._ended, self._error = True, exc
        _wake(self.closed)
        _wake(self._reader)
        _wake(self._room)

    def pause_writing(self) -> None:
        """Called by asyncio."""
        self.is_full = True

    def resume_writing(self) -> None:
        """Called by asyncio."""
        self.is_full = False
        _wake(self._room)


class Deadline:
    """`with deadline.within(seconds):` raises `TimeoutError` in the task when they are over.

    As `asyncio.timeout`, for one block at a time of the task that made it, but with one timer
    that is set anew only where a block ends before the timer would be looked at.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        task = asyncio.current_task()
        if task is None:
            raise Misuse("a deadline belongs to a task")
        self._loop, self._task = loop, task
        self._time = loop.time
        self._timer: asyncio.TimerHandle | None = None
        self._looks_at = float("inf")  # when the timer fires
        self._due = float("inf")
        self._is_over = False
        self._cancelling = 0

    def within(self, seconds: float) -> Self:
        """The time that the next block has."""
        now = self._time()
        self._due = now + seconds
        if self._due < self._looks_at:
            self._look(min(self._due, now + LOOK_SECONDS))
        return self

    def close(self) -> None:
        """Set no timer any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._looks_at = None, float("inf")

    def __enter__(self) -> None:
        self._cancelling = self._task.cancelling()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._due = float("inf")
        if not self._is_over:
            return
        self._is_over = False
        # Somebody else may have cancelled the task meanwhile: then that is what it was.
        if self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _look(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._looks_at = self._loop.call_at(when, self._fire), when

    def _fire(self) -> None:
        self._timer, self._looks_at = None, float("inf")
        now = self._time()
        if now < self._due:
            if self._due != float("inf"):
                self._look(min(self._due, now + LOOK_SECONDS))
            return
        self._is_over = True
        self._task.cancel()


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
