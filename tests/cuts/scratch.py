"""Temporary directories that are gone in the end, even after a death that nobody could clean up.

Owns their names and the sweep. Each is locked by the process that uses it, so whoever makes the
next one sees which are left from the dead.
"""

import fcntl
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

__all__ = ["exit_on_sigterm", "scratch"]

PREFIX = "limpet-cuts-"
YOUNG_SECONDS = 60  # one that is not locked yet


@contextmanager
def scratch(where: Path | None = None) -> Iterator[Path]:
    """A new directory in `where` (None: as `tempfile`) that others may pass through."""
    place = Path(tempfile.gettempdir()) if where is None else where
    for left in place.glob(f"{PREFIX}*"):
        _sweep(left)
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made.chmod(0o755)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def exit_on_sigterm() -> None:
    """Let SIGTERM end this process, and those that it forks, by an exception: all is tidied up."""

    def leave(number: int, frame: FrameType | None) -> None:
        del frame
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def _sweep(left: Path) -> None:
    with suppress(OSError):
        if time.time() - left.stat().st_mtime < YOUNG_SECONDS:
            return
        lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its owner lives
            shutil.rmtree(left, ignore_errors=True)
        finally:
            os.close(lock)
