"""A disk that fails at one system call, or from one on, below one directory.

Stands between Python and the kernel: every call by which a file, a directory or a byte comes to be
(open for writing, write, fsync, mkdir, symlink, rename, unlink) is counted, and the chosen one
raises what the kernel would. What a call has done before stays done.
"""

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

__all__ = ["FailingDisk", "failing"]

GROWING = ("open", "write", "fsync", "mkdir", "symlink")
"""What needs space. A full disk still renames and removes."""
CHANGING = (*GROWING, "rename", "replace", "unlink", "rmdir")
"""What a disk refuses that became read-only."""


@dataclass
class FailingDisk:
    """Fails call number `at` below `root` (from 0), and all later ones if `lasting`."""

    root: Path
    code: int
    at: int
    lasting: bool = False
    calls: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> tuple[str, ...]:
        return CHANGING if self.code in (errno.EROFS, errno.EACCES, errno.EIO) else GROWING

    def meet(self, kind: str, path: Any) -> None:
        """Count the call, and fail it if its turn has come."""
        if kind not in self.kinds or not self._is_below(path):
            return
        number = len(self.calls)
        self.calls.append(kind)
        if number == self.at or (self.lasting and number > self.at):
            raise OSError(self.code, os.strerror(self.code), str(path))

    def _is_below(self, path: Any) -> bool:
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        return str(path).startswith(str(self.root)) or not str(path).startswith("/")


_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class _File(io.FileIO):
    """What Python's own files write through."""

    disk: FailingDisk

    def write(self, data: Any) -> int:
        self.disk.meet("write", self.fileno())
        return super().write(data)


@contextmanager
def failing(disk: FailingDisk) -> Iterator[FailingDisk]:
    """Let the process meet `disk` until the end of the block."""
    true = {name: getattr(os, name) for name in ("open", "write", "fsync", *CHANGING[3:])}

    def guard(name: str, which: int = 0) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            disk.meet(name, arguments[which])
            return true[name](*arguments, **named)

        return call

    def opened(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if flags & _WRITES:
            disk.meet("open", path)
        return true["open"](path, flags, *arguments, **named)

    true_open = builtins.open

    def buffered(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        if not set(mode) & set("wax+") or "b" not in mode or named.get("opener"):
            return true_open(file, mode, *arguments, **named)
        if not isinstance(file, int):
            disk.meet("open", file)
        raw = _File(file, mode.replace("b", ""))
        raw.disk = disk
        return io.BufferedWriter(raw)

    patches = [mock.patch.object(os, name, guard(name)) for name in true if name != "open"]
    patches += [
        mock.patch.object(os, "open", opened),
        mock.patch.object(builtins, "open", buffered),
        mock.patch.object(io, "open", buffered),
    ]
    for patch in patches:
        patch.start()
    try:
        yield disk
    finally:
        for patch in patches:
            patch.stop()
