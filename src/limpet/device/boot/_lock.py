"""One boot for one device: an flock(2) that the kernel releases when the process dies."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from limpet.errors import Unavailable
from limpet.storage import make_directory

__all__ = ["hold_device"]


@contextlib.contextmanager
def hold_device(root: Path) -> Iterator[int]:
    """Hold the device at `root`, by the descriptor that this gives.

    Raises `Unavailable` if another boot does.
    """
    path = make_directory(root / "run", mode=0o755) / "boot.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Unavailable(f"cannot open {path}: {(error.strerror or '').lower()}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            raise Unavailable(
                f"the device in {root} is running already (process {holder or 'unknown'})",
                hint="stop it first",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)
