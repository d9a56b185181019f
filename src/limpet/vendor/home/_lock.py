"""Locks between the processes of one vendor: the running service and the command line.

Owns waiting with a bound. A lock is held by the open file (flock), so that a
process that dies leaves none behind. Never deletes a lock file.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from limpet.errors import Unavailable
from limpet.storage import advice_for

__all__ = ["LOCK_SECONDS", "hold_lock"]

LOCK_SECONDS = 30.0
POLL_SECONDS = 0.02


@contextlib.contextmanager
def hold_lock(file: Path, *, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock `file` for the block; `Unavailable` if others hold it for `seconds`."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = f"cannot open {file}: {(error.strerror or 'failed').lower()}"
        raise Unavailable(message, hint=advice_for(error)) from error
    try:
        deadline = time.monotonic() + seconds
        while not _try(descriptor):
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"{file} is held by another process",
                    hint="wait until the other limpet command on this directory has ended",
                )
            time.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
