"""Outputs that go safe even if the app is killed without warning.

Owns one small process beside the app. It knows nothing but open files and the
bytes that make them safe, waits on a pipe that only the app holds, and writes
the bytes when the pipe ends: after a crash, a `kill -9` or the out-of-memory
killer just as after an orderly stop. It reads no message, so nothing that the
app was fed can reach it.
"""

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import Misuse, Unavailable

__all__ = ["Guard", "SafeWrite"]

MAX_SAFE_WRITES = 16
MAX_SAFE_BYTES = 64
HIGHEST_DESCRIPTOR = 4096


@dataclass(frozen=True, slots=True)
class SafeWrite:
    """Write `data` to the start of the existing file `path`, in place.

    The file is opened when the guard starts, so it must not be replaced by renaming.
    """

    path: Path
    data: bytes


class Guard:
    """Collects the safe writes of a product, and watches over the process that starts it."""

    def __init__(self) -> None:
        self._writes: list[SafeWrite] = []
        self._pipe: int | None = None
        self._pid = 0

    @property
    def armed(self) -> tuple[SafeWrite, ...]:
        """What is written when the process dies."""
        return tuple(self._writes)

    def arm(self, write: SafeWrite) -> None:
        """Add `write`. Raises `Misuse` for more than the bounds, or after the start."""
        if self._pipe is not None or len(self._writes) >= MAX_SAFE_WRITES:
            raise Misuse(f"at most {MAX_SAFE_WRITES} safe writes, and only while starting")
        if not 0 < len(write.data) <= MAX_SAFE_BYTES:
            raise Misuse(f"a safe write has 1 to {MAX_SAFE_BYTES} bytes")
        self._writes.append(write)

    def start(self, confine: Callable[[], object]) -> None:
        """Start the watching process if there is anything to make safe.

        It calls `confine` first, which leaves it nothing but its open files. To be called
        once, while this process has one thread. Raises `Unavailable`.
        """
        if not self._writes or self._pipe is not None:
            return
        try:
            files = [(os.open(w.path, os.O_WRONLY), w.data) for w in self._writes]
            ours, theirs = os.pipe()
            is_ready, says_ready = os.pipe()
            child = os.fork()
        except OSError as error:
            raise Unavailable(f"cannot guard the outputs: {error.strerror}") from error
        if child == 0:
            _watch(ours, says_ready, files, confine)
        for descriptor in (ours, says_ready, *(descriptor for descriptor, _ in files)):
            os.close(descriptor)
        ready = os.read(is_ready, 1)  # also returns if the child died
        os.close(is_ready)
        if not ready:
            raise Unavailable("cannot guard the outputs: the guard ended at its start")
        self._pipe, self._pid = theirs, child

    def stop(self) -> None:
        """Let the watching process make the outputs safe and end; returns when it has."""
        if self._pipe is None:
            return
        os.close(self._pipe)
        self._pipe = None
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)  # it has nothing left to wait for


def _watch(
    pipe: int, says_ready: int, files: list[tuple[int, bytes]], confine: Callable[[], object]
) -> None:
    """The whole life of the watching process. Never returns."""
    try:
        # Out of the app's group, so that a signal to the group does not end the guard first.
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        kept = sorted({pipe, says_ready, *(descriptor for descriptor, _ in files)})
        for low, high in zip([-1, *kept], [*kept, HIGHEST_DESCRIPTOR], strict=True):
            os.closerange(low + 1, high)
        confine()
        os.write(says_ready, b"1")
        os.close(says_ready)
        os.read(pipe, 1)  # ends when the last holder of the other end is gone
        for descriptor, data in files:
            with contextlib.suppress(OSError):
                os.pwrite(descriptor, data, 0)
                os.fsync(descriptor)
    finally:
        os._exit(0)
