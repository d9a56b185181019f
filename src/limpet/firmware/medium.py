"""Groups onto a medium, beside who makes them: written, made durable, read back, journalled.

Owns one thread, and the order of its steps. Whoever makes the groups writes them into the kernel's
cache and goes on; the thread syncs what was written until then as one batch, reads it from the
medium, not from the cache, holds it against the signed hashes, and only then has it journalled.
Holds no group in memory; what the kernel may hold of them is bounded by two batches.
"""

import errno
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from limpet.errors import LimpetError, Rejected
from limpet.wire.release import Group

__all__ = ["BATCH_GROUPS", "BATCH_SECONDS", "Medium", "verify_medium"]

BATCH_SECONDS = 0.5
"""After so long a batch is complete: where groups come slowly, each is journalled by itself."""
BATCH_GROUPS = 32
"""Of so many groups a batch is complete, too."""


class Medium:
    """Takes the groups that follow `offset` on `descriptor`; use as a context.

    An error of the medium is raised by a later call than the one that put the group, and by every
    call from then on; once it is known nothing is written, synced or journalled.
    """

    def __init__(
        self, descriptor: int, *, offset: int, groups: int, journal: Callable[[int], None]
    ) -> None:
        """`groups` lie before `offset`; `journal` is told how many there are, once they last."""
        self._descriptor, self._groups, self._journal = descriptor, groups, journal
        self._begins = self._ends = offset  # of the batch that is being written
        self._batch: list[Group] = []
        self._since = time.monotonic()
        self._under_way: Future[None] | None = None
        self._error: BaseException | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="medium")

    def put(self, group: Group, data: bytes) -> None:
        """Write `data`, which is verified to be `group`. Raises `OSError`, `Unavailable` and
        `Rejected("tampered-blocks")` of this group or an earlier one."""
        if self._error is not None:
            raise self._error
        os.lseek(self._descriptor, self._ends, os.SEEK_SET)  # a role may use no pwrite(2)
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor, view)
            if written == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            view = view[written:]
        self._ends += len(data)
        self._batch.append(group)
        late = time.monotonic() - self._since >= BATCH_SECONDS
        if late or len(self._batch) >= BATCH_GROUPS:
            self._hand_over()

    def settle(self) -> None:
        """All that was put lasts, is what was put, and is journalled. Raises as `put`."""
        if self._batch:
            self._hand_over()
        if self._under_way is not None:
            self._under_way.result()

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

    def _hand_over(self) -> None:
        """The batch is complete, and the thread's as soon as that is done with the one before."""
        if self._under_way is not None:
            self._under_way.result()
        self._under_way = self._worker.submit(self._finish, self._begins, self._batch)
        self._begins, self._batch, self._since = self._ends, [], time.monotonic()

    def _finish(self, begins: int, batch: Sequence[Group]) -> None:
        """In the thread. The journal never claims what is not on the medium."""
        try:
            os.fsync(self._descriptor)
            verify_medium(self._descriptor, begins, batch)
            self._groups += len(batch)
            self._journal(self._groups)
        except BaseException as error:
            self._error = error  # and stays: a second fsync(2) would not tell it again
            raise


def verify_medium(descriptor: int, offset: int, groups: Sequence[Group]) -> None:
    """That `groups` lie at `offset`, as the medium and no cache gives them.

    Raises `Rejected("tampered-blocks")`, `OSError`.
    """
    buffer, size = bytearray(), sum(group.size for group in groups)
    if size:  # a length of 0 would be all
        os.posix_fadvise(descriptor, offset, size, os.POSIX_FADV_DONTNEED)
    for group in groups:
        if len(buffer) != group.size:
            buffer = bytearray(group.size)
        _read_into(buffer, descriptor, offset)
        if hashlib.sha256(buffer).hexdigest() != group.sha256:
            raise Rejected("tampered-blocks", "the slot does not hold what was signed")
        offset += group.size


def _read_into(buffer: bytearray, descriptor: int, offset: int) -> None:
    """What lies at `offset`; zeros beyond the end."""
    view = memoryview(buffer)
    while view and (came := os.preadv(descriptor, [view], offset)):
        view, offset = view[came:], offset + came
    view[:] = bytes(len(view))
