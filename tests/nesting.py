"""Directories that are nested deeper than a path, a stack or the open files of a process allow."""

import os
from pathlib import Path

__all__ = ["nest"]


def nest(path: Path, *, depth: int) -> None:
    """Make `path`, with so many directories in it, each in the one before, and a file in the
    last."""
    path.mkdir(parents=True)
    inner = os.open(path, os.O_RDONLY)
    try:
        for _ in range(depth):
            os.mkdir("d", dir_fd=inner)
            deeper = os.open("d", os.O_RDONLY, dir_fd=inner)
            os.close(inner)
            inner = deeper
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=inner))
    finally:
        os.close(inner)
