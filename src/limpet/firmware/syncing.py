"""Making many files durable in less time than one after the other takes.

Owns how many are synced at once. A file is durable when its own fsync has returned, as everywhere;
but a file system commits its journal for those together that ask at the same time, where each
in turn waits for a commit of its own: firmware is a thousand small files.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["sync_together"]

_AT_ONCE = 4


def sync_together(paths: Iterable[Path]) -> None:
    """What the files hold, or the directories, is durable on return; no link is followed.

    Raises the first `OSError`; then not all is.
    """
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sync") as threads:
        for _ in threads.map(_sync, paths):
            pass


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
