"""A bounded history on disk: JSON lines in a ring of segments.

Owns the files `<name>.<number>.jsonl` of the app's own directory. They never
take more than `segments * segment_bytes`, whatever is appended; a record that
`append` returned from survives a power cut, and a line that a cut left behind
half written is removed before anything is written after it.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from limpet.device.app._state import NAME
from limpet.errors import Misuse, Unavailable
from limpet.storage import sync_directory

__all__ = ["SEGMENTS", "SEGMENT_BYTES", "History"]

SEGMENT_BYTES = 64 << 10
SEGMENTS = 8

R = TypeVar("R")


class History(Generic[R]):
    """Records of `kind`, newest last. Raises `Unavailable` where the disk does not serve."""

    def __init__(
        self,
        directory: Path,
        name: str,
        kind: type[R],
        *,
        segment_bytes: int = SEGMENT_BYTES,
        segments: int = SEGMENTS,
    ) -> None:
        if not NAME.fullmatch(name) or segments < 2:
            raise Misuse(f"not a history: {name!r} of {segments} segments")
        self._directory, self._name = directory, name
        self._segment_bytes, self._segments = segment_bytes, segments
        self._decoder = msgspec.json.Decoder(kind)
        numbers = self._numbers()
        self._last = numbers[-1] if numbers else 0
        self._size = self._mend(self._last) if numbers else 0

    def append(self, record: R) -> None:
        """Add `record`; durable on return. The oldest segment goes when the ring is full."""
        line = msgspec.json.encode(record) + b"\n"
        if len(line) > self._segment_bytes:
            raise Misuse(f"a record of {len(line)} bytes does not fit a segment of {self._name}")
        try:
            if self._last == 0 or self._size + len(line) > self._segment_bytes:
                self._begin_segment()
            self._write(self._path(self._last), line)
        except OSError as error:
            with contextlib.suppress(Unavailable):
                self._size = self._mend(self._last)
            reason = (error.strerror or "failed").lower()
            raise Unavailable(f"cannot add to the history {self._name}: {reason}") from error
        self._size += len(line)

    def read(self, limit: int) -> list[R]:
        """At most `limit` of the newest records, oldest first; unreadable lines are left out."""
        newest: list[R] = []
        for line in self._lines_backwards():
            if len(newest) >= limit:
                break
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                newest.append(self._decoder.decode(line))
        newest.reverse()
        return newest

    def _path(self, number: int) -> Path:
        return self._directory / f"{self._name}.{number:08d}.jsonl"

    def _numbers(self) -> list[int]:
        pattern = re.compile(rf"{re.escape(self._name)}\.([0-9]{{8}})\.jsonl")
        try:
            names = [entry.name for entry in self._directory.iterdir()]
        except OSError as error:
            raise Unavailable(f"cannot read {self._directory}: {error.strerror}") from error
        return sorted(int(match[1]) for match in map(pattern.fullmatch, names) if match)

    def _mend(self, number: int) -> int:
        """Cut a half written last line off segment `number`; its size in bytes after that."""
        try:
            with self._path(number).open("r+b") as file:
                data = file.read(self._segment_bytes + 1)
                whole = data.rfind(b"\n", 0, self._segment_bytes) + 1
                if whole != len(data):
                    file.truncate(whole)
                    os.fsync(file.fileno())
        except OSError as error:
            raise Unavailable(f"cannot mend the history {self._name}: {error.strerror}") from error
        return whole

    def _begin_segment(self) -> None:
        for number in self._numbers()[: -(self._segments - 1)]:
            self._path(number).unlink(missing_ok=True)
        self._path(self._last + 1).touch(mode=0o600, exist_ok=True)
        sync_directory(self._directory)
        self._last, self._size = self._last + 1, 0

    def _write(self, path: Path, line: bytes) -> None:
        with path.open("ab", buffering=0) as file:
            if file.write(line) != len(line):
                raise OSError(28, "no space left on device")
            os.fsync(file.fileno())

    def _lines_backwards(self) -> Iterator[bytes]:
        for number in reversed(self._numbers()):
            try:
                with self._path(number).open("rb") as file:
                    data = file.read(self._segment_bytes)
            except OSError:
                continue  # one segment lost is not all of them lost
            yield from reversed(data.splitlines())
