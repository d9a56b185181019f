"""The device's log: JSON lines in `log/device.log`, bounded in size and rate.

Owns the file's form, its rotation and its reader. Boot and the supervisor write it,
one at a time; no role does. Carries no secret: whoever logs answers for that.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from limpet.errors import LimpetError
from limpet.storage import make_directory, read_bounded, sync_directory

__all__ = ["Entry", "Journal", "read_journal"]

LOG_BYTES = 1 << 20
"""Size at which the log is rotated; one older file is kept."""

BURST, PER_SECOND = 400, 20
"""Entries of one role that are written at once, and per second after that; more are counted."""

_NAME, _OLDER = "device.log", "device.log.1"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the log."""

    at: datetime  # UTC
    role: str
    level: str = "info"
    event: str
    detail: str = ""


class Journal:
    """Appends to the log below `root`. `clock` gives the time in UTC, `monotonic` seconds."""

    def __init__(
        self, root: Path, *, clock: Callable[[], datetime], monotonic: Callable[[], float]
    ) -> None:
        self._directory = make_directory(root / "log")
        self._clock = clock
        self._monotonic = monotonic
        self._budgets: dict[str, tuple[float, float]] = {}
        self._dropped: dict[str, int] = {}

    def write(self, role: str, event: str, detail: str = "", *, level: str = "info") -> None:
        """Append one entry; durable on return if it is a warning or an error.

        A full disk costs the entry, never the device: it then goes to stderr alone.
        """
        if not self._afford(role):
            self._dropped[role] = self._dropped.get(role, 0) + 1
            return
        if dropped := self._dropped.pop(role, 0):
            self._append(role, "log-entries-dropped", f"{dropped} entries", "warning")
        self._append(role, event, detail, level)

    def _append(self, role: str, event: str, detail: str, level: str) -> None:
        entry = Entry(at=self._clock(), role=role, level=level, event=event, detail=detail)
        line = msgspec.json.encode(entry) + b"\n"
        try:
            self._rotate(len(line))
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._directory / _NAME, flags, 0o600)
            try:
                os.write(descriptor, line)
                if level != "info":
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                sys.stderr.buffer.write(line)
                sys.stderr.flush()

    def _rotate(self, coming: int) -> None:
        log = self._directory / _NAME
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_size + coming > LOG_BYTES:
                log.replace(self._directory / _OLDER)
                sync_directory(self._directory)

    def _afford(self, role: str) -> bool:
        """A token bucket for each role, so that a taken one cannot wear the flash out."""
        now = self._monotonic()
        left, since = self._budgets.get(role, (float(BURST), now))
        left = min(float(BURST), left + (now - since) * PER_SECOND)
        self._budgets[role] = (max(left - 1, 0.0), now)
        return left >= 1


def read_journal(root: Path) -> Iterator[Entry]:
    """The log's entries, oldest first; a line that was cut by a power failure is left out."""
    for name in (_OLDER, _NAME):
        try:
            data = read_bounded(root / "log" / name, max_bytes=LOG_BYTES)
        except LimpetError:
            continue
        for line in data.splitlines():
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                yield msgspec.json.decode(line, type=Entry)
