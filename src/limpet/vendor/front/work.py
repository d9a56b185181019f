"""What blocks (signing, the database) runs here and not on the event loop.

Owns a few threads and a bounded queue before them. Full is an answer: the caller
gets `Unavailable`, and the client a 503 with Retry-After.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from limpet.errors import Unavailable

__all__ = ["QUEUE", "THREADS", "Worker"]

THREADS = 2  # SQLite has one writer anyway
QUEUE = 64  # jobs that wait or run; more are refused at once

T = TypeVar("T")


class Worker:
    """Runs jobs for one event loop."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="vendor-work")
        self._pending = 0

    async def run(self, job: Callable[[], T]) -> T:
        """The job's result. Raises what it raises, or `Unavailable` if too many wait."""
        if self._pending >= QUEUE:
            raise Unavailable("too much to do at once")
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, job)
        finally:
            self._pending -= 1

    def close(self) -> None:
        """Let the jobs under way end; those that wait are dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)
