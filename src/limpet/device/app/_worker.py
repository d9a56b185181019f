"""The one thread that a product's code runs in, and the watch over it.

Owns the queue before the thread, its bounds, and the knowledge how long the
thread has been at its present work. It cannot end work that hangs (no thread can
be killed); it says so, and the process then ends itself.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from limpet.errors import Rejected

__all__ = ["QUEUE_LIMIT", "Worker"]

QUEUE_LIMIT = 32
"""Calls that may wait or run at once; more are refused as `busy`."""

T = TypeVar("T")


class Worker:
    """Runs calls one after another in a thread of its own."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="product")
        self._pending: set[Future[Any]] = set()
        self._busy_since: float | None = None
        self._exhausted = False

    async def run(self, work: Callable[[], T], *, seconds: float | None) -> T:
        """What `work` returns, or raises.

        Raises `Rejected("app-memory")` if the memory was used up, `Rejected("busy")` when the
        queue is full, and `Rejected("app-timeout")` after `seconds`: work that had not begun
        then never does, work under way goes on.
        """
        if len(self._pending) >= QUEUE_LIMIT:
            raise Rejected("busy", "the app has too much to do; try again")
        future = self._executor.submit(self._timed, work)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            future.cancel()
            raise Rejected(
                "app-timeout", f"the app gave no answer in {seconds} s; it may still act"
            ) from error

    @property
    def is_exhausted(self) -> bool:
        """Whether some work used up the memory that this process may have."""
        return self._exhausted

    def busy_seconds(self) -> float:
        """How long the present work has been running; 0 when idle."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def _timed(self, work: Callable[[], T]) -> T:
        self._busy_since = time.monotonic()
        try:
            return work()
        except MemoryError:
            self._exhausted = True
            raise Rejected("app-memory", "the app used up its memory; it starts again") from None
        finally:
            self._busy_since = None
