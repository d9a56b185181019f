"""One thread for password hashing, a short queue, known clients first.

Owns the order and the bound of hashing: each hash takes tens of milliseconds
and 19 MiB, so a flood of logins must neither pile up nor block the event loop.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from limpet.errors import Unavailable

__all__ = ["MAX_KNOWN_WAITING", "MAX_STRANGERS_WAITING", "HashWorker"]

MAX_STRANGERS_WAITING = 4  # at 30 ms each, who is let wait waits 0.15 s at most
MAX_KNOWN_WAITING = 8  # a household's browsers and programs, all at once

T = TypeVar("T")


class HashWorker:
    """Runs one function at a time in a thread; waiting known clients go before strangers."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hash")
        self._busy = False
        self._known: list[asyncio.Future[None]] = []
        self._strangers: list[asyncio.Future[None]] = []

    async def run(self, work: Callable[[], T], *, known: bool) -> T:
        """The result of `work`. Raises `Unavailable` at once when the queue is full."""
        await self._turn(known)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._next()

    def close(self) -> None:
        """End the thread after what it does now."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _turn(self, known: bool) -> None:
        if not self._busy:
            self._busy = True
            return
        queue = self._known if known else self._strangers
        if len(queue) >= (MAX_KNOWN_WAITING if known else MAX_STRANGERS_WAITING):
            raise Unavailable("too many logins at once")
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine in queue:
                queue.remove(mine)
            elif mine.done() and not mine.cancelled():
                self._next()  # the turn was mine already: pass it on
            raise

    def _next(self) -> None:
        for queue in (self._known, self._strangers):
            while queue:
                waiting = queue.pop(0)
                if not waiting.done():
                    waiting.set_result(None)
                    return
        self._busy = False
