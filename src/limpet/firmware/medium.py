"""Groups onto a medium, beside who makes them: written, made durable, read back, journalled.

Owns one thread, which waits for the medium while the next groups are fetched and made, and the
order of its steps. Where groups come fast, several share an fsync, and more a line of the journal.
They are compared with what the medium gives back, not its cache, before the journal claims them.
Knows no hash: whoever puts a group has verified it. Never holds more than `HELD_GROUPS` and
`AHEAD_GROUPS`.
"""

import errno
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from limpet.errors import LimpetError, Rejected

__all__ = ["AHEAD_GROUPS", "CHECKPOINT_SECONDS", "HELD_GROUPS", "Medium", "read_into"]

CHECKPOINT_SECONDS = 0.5
"""After so long, what is written is made durable and journalled: a power cut costs no more."""
HELD_GROUPS = 5
"""So many are made durable together: they are held until they are read back."""
AHEAD_GROUPS = 4
"""Groups that may wait for the medium; whoever makes another one waits, too."""


class Medium:
    """Takes the groups that follow `offset` on `descriptor`; use as a context.

    An error of the medium is raised by a later call than the one that put the group, and by every
    call from then on; nothing is written or journalled after it.
    """

    def __init__(
        self, descriptor: int, *, offset: int, groups: int, journal: Callable[[int], None]
    ) -> None:
        """`groups` lie before `offset`; `journal` is told how many there are, once they last."""
        self._descriptor, self._durable, self._groups = descriptor, offset, groups
        self._journal, self._journalled = journal, groups
        self._held: list[bytearray] = []  # written, and not yet read back
        self._spare: deque[bytearray] = deque()
        self._back = bytearray()
        self._since = time.monotonic()
        self._error: BaseException | None = None
        self._waiting: deque[Future[None]] = deque()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="medium")

    def put(self, data: bytes) -> None:
        """The next group, which is on its way on return. Raises `OSError`, `Unavailable` and
        `Rejected("tampered-blocks")` of this group or an earlier one."""
        if len(self._waiting) >= AHEAD_GROUPS:
            self._waiting.popleft().result()
        # Kept memory: new memory for each group, given back by the batch, took a fifth of the CPU.
        kept = self._spare.pop() if self._spare else bytearray()
        kept[:] = data
        self._waiting.append(self._worker.submit(self._do, self._write, kept))

    def settle(self) -> None:
        """All that was put lasts, is what was put, and is journalled. Raises as `put`."""
        while self._waiting:
            self._waiting.popleft().result()
        self._worker.submit(self._do, self._checkpoint).result()

    def __enter__(self) -> "Medium":
        """Nothing is begun."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """A peer that goes away costs nothing of what it has sent."""
        try:
            if isinstance(error, LimpetError):
                self.settle()
        finally:
            self._worker.shutdown(cancel_futures=True)

    def _do(self, step: Callable[..., None], *given: bytearray) -> None:
        """In the thread. A second fsync(2) would not tell an error again: the first one stays."""
        if self._error is not None:
            raise self._error
        try:
            step(*given)
        except BaseException as error:
            self._error = error
            raise

    def _write(self, data: bytearray) -> None:
        place = self._durable + sum(map(len, self._held))
        os.lseek(self._descriptor, place, os.SEEK_SET)  # a role may use no pwrite(2)
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor, view)
            if written == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            view = view[written:]
        self._held.append(data)
        late = time.monotonic() - self._since >= CHECKPOINT_SECONDS
        if late or len(self._held) >= HELD_GROUPS:
            self._make_durable()
        if late:
            self._checkpoint()

    def _make_durable(self) -> None:
        """What was written is on the medium, and is what was to be written."""
        if not self._held:
            return
        os.fsync(self._descriptor)
        size = sum(map(len, self._held))
        os.posix_fadvise(self._descriptor, self._durable, size, os.POSIX_FADV_DONTNEED)
        os.lseek(self._descriptor, self._durable, os.SEEK_SET)
        for data in self._held:
            if len(self._back) != len(data):
                self._back = bytearray(len(data))
            if read_into(self._back, self._descriptor) != data:
                raise Rejected("tampered-blocks", "the medium gives back what was not written")
        self._durable += size
        self._groups += len(self._held)
        self._spare.extend(self._held)
        self._held.clear()

    def _checkpoint(self) -> None:
        """The journal never claims what is not on the medium."""
        self._make_durable()
        if self._groups > self._journalled:
            self._journal(self._groups)
            self._journalled = self._groups
        self._since = time.monotonic()


def read_into(buffer: bytearray, descriptor: int) -> bytearray:
    """The next bytes of a file or device, as many as `buffer` has, in it; fewer only at the end.

    Raises `OSError`.
    """
    view, done = memoryview(buffer), 0
    while done < len(view) and (came := os.readv(descriptor, [view[done:]])):
        done += came
    return buffer if done == len(view) else bytearray(view[:done])
