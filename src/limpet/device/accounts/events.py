"""The owner's security log: append-only lines, each sealed by the hash of the one before.

Owns `events.jsonl` and its predecessor `events.1.jsonl`. A line that was
changed, removed or inserted breaks the chain, which is noticed at the next
start and is itself logged. A flood cannot fill the disk: the size is bounded by
rotation, and who calls counts repeated refusals instead of logging each.
"""

import hashlib
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from limpet.errors import Unavailable
from limpet.storage import read_bounded, remove_durably, sync_directory, write_atomic
from limpet.wire.codec import Message

__all__ = ["CURRENT", "PREVIOUS", "Entry", "SecurityLog"]

CURRENT = "events.jsonl"
PREVIOUS = "events.1.jsonl"
ROTATE_BYTES = 128 << 10
READ_BYTES = 192 << 10  # of one answer: a message between processes has 256 KiB
_FIRST = "0" * 64


class Entry(Message, frozen=True, kw_only=True):
    """One line; `previous` is the SHA-256 of the line before it, in hex."""

    number: int
    at: datetime
    event: str
    detail: str
    previous: str


class SecurityLog:
    """Appends durably and reads back. Raises `Unavailable` when the disk refuses."""

    def __init__(self, directory: Path, clock: Callable[[], datetime]) -> None:
        self._directory, self._clock = directory, clock
        self._number, self._last, broken = self._resume()
        if broken:
            self.append("log-broken", broken)

    def append(self, event: str, detail: str = "") -> None:
        """Add an entry; it is on disk on return."""
        entry = Entry(
            number=self._number + 1,
            at=self._clock(),
            event=event,
            detail=detail,
            previous=self._last,
        )
        line = msgspec.json.encode(entry)
        path = self._directory / CURRENT
        try:
            self._rotate(path, len(line) + 1)
            is_new = not path.exists()
            descriptor = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600
            )
            with os.fdopen(descriptor, "ab") as file:
                file.write(line + b"\n")
                file.flush()
                os.fsync(file.fileno())
            if is_new:
                sync_directory(self._directory)  # or its name may be lost with the power
        except OSError as error:
            raise Unavailable(f"cannot write {path}: {error.strerror}") from error
        self._number, self._last = entry.number, hashlib.sha256(line).hexdigest()

    def read(self, limit: int, *, after: int | None = None) -> tuple[tuple[str, ...], bool]:
        """At most `limit` lines and `READ_BYTES`, oldest first, and whether newer ones remain.

        The newest; or, with `after`, those that follow the entry of this number.
        """
        lines = self._lines(PREVIOUS) + self._lines(CURRENT)
        if after is None:
            return _decoded(_bounded(lines[: -limit - 1 : -1])[::-1]), False
        # Numbers run without a gap to the last line, so the place of `after` is counted from it.
        rest = lines[max(0, len(lines) - (self._number - after)) :] if after < self._number else []
        page = _bounded(rest[:limit])
        return _decoded(page), len(page) < len(rest)

    def clear(self) -> None:
        """Destroy the log, as a factory reset does; a new chain begins."""
        for name in (CURRENT, PREVIOUS):
            remove_durably(self._directory / name)
        self._number, self._last = 0, _FIRST

    def _rotate(self, path: Path, more: int) -> None:
        if path.exists() and path.stat().st_size + more > ROTATE_BYTES:
            path.replace(self._directory / PREVIOUS)
            sync_directory(self._directory)

    def _lines(self, name: str) -> list[bytes]:
        path = self._directory / name
        if not path.exists():
            return []
        return read_bounded(path, max_bytes=ROTATE_BYTES * 2).split(b"\n")[:-1]

    def _resume(self) -> tuple[int, str, str]:
        """Number and hash of the last line, and what is wrong with the chain, if anything."""
        self._cut_torn_line()
        lines = self._lines(PREVIOUS) + self._lines(CURRENT)
        number, last, broken = 0, "", ""
        for place, line in enumerate(lines, start=1):
            try:
                entry = msgspec.json.decode(line, type=Entry)
            except (msgspec.DecodeError, UnicodeDecodeError):
                broken = broken or f"line {place} cannot be read"
                last = ""
                continue
            follows = entry.previous == last and entry.number == number + 1
            if last and not follows:
                broken = broken or f"line {place} does not follow the one before"
            number, last = entry.number, hashlib.sha256(line).hexdigest()
        return number, last or _FIRST, broken

    def _cut_torn_line(self) -> None:
        """Power failed within a write: what was never acknowledged is cut off."""
        path = self._directory / CURRENT
        if path.exists():
            data = read_bounded(path, max_bytes=ROTATE_BYTES * 2)
            if data and not data.endswith(b"\n"):
                write_atomic(path, data[: data.rfind(b"\n") + 1])


def _bounded(lines: list[bytes]) -> list[bytes]:
    """The first of `lines` that fit into one answer."""
    total = 0
    for place, line in enumerate(lines):
        total += len(line)
        if total > READ_BYTES:
            return lines[:place]
    return lines


def _decoded(lines: list[bytes]) -> tuple[str, ...]:
    return tuple(line.decode("utf-8", "replace") for line in lines)
