"""What a product tells its owner: a short list, durable, that no product can make grow.

Owns the file `notices.json` in the app's own directory and its bounds. Written by the
product's thread and read for the gateway, so each step holds the lock. It sends nothing:
owners ask for the list.
"""

import re
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

import msgspec

from limpet.device.link.messages import Notice
from limpet.errors import Misuse, Rejected
from limpet.storage import read_bounded, write_atomic

__all__ = ["MAX_NOTICES", "TEXT_CHARACTERS", "Level", "Notices"]

MAX_NOTICES = 50
"""Kept at most; the oldest acknowledged one goes first, else the oldest."""

TEXT_CHARACTERS = 300
Level = Literal["info", "warning", "error"]
"""How much it matters to the owner."""

_KEY = re.compile(r"[a-z][a-z0-9-]{0,47}")
_FILE_BYTES = 256 << 10
_LAST_COUNT = 1_000_000_000


class _File(msgspec.Struct, frozen=True, kw_only=True):
    next_id: int
    notices: tuple[Notice, ...]


class Notices:
    """The notices of one product in `directory`; what a call returned from is on the disk.

    A repeat of a key that nobody has acknowledged yet is counted, not written: a product that
    shouts wears out no flash, and at most the count of a repeat is lost in a crash. A damaged
    file is set aside as `notices.json.damaged`, and `damage` says so.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], datetime]) -> None:
        self._path = directory / "notices.json"
        self._clock = clock
        self._lock = threading.Lock()
        self._next_id = 1
        self._notices: tuple[Notice, ...] = ()
        self.damage = ""
        if self._path.exists():
            self._load()

    def raise_notice(self, key: str, text: str, level: Level) -> None:
        """Add a notice, or count it. Raises `Misuse` for a bad key, text or level."""
        if not _KEY.fullmatch(key) or level not in get_args(Level):
            raise Misuse(f"not a notice: key {key!r}, level {level!r}")
        if not 0 < len(text) <= TEXT_CHARACTERS or not text.isprintable():
            raise Misuse(f"{key}: a notice is one line of 1 to {TEXT_CHARACTERS} characters")
        with self._lock:
            open_one = next((n for n in self._notices if n.key == key and not n.acknowledged), None)
            if open_one is not None and open_one.text == text:
                count = min(open_one.count + 1, _LAST_COUNT)
                self._notices = self._with(open_one, count=count)
                return
            notice = Notice(
                id=self._next_id, key=key, text=text, level=level, raised_at=self._clock()
            )
            kept = tuple(n for n in self._notices if n is not open_one)
            self._write(_bounded((*kept, notice)), self._next_id + 1)

    def list(self) -> tuple[Notice, ...]:
        """All of them, newest last."""
        with self._lock:
            return self._notices

    def acknowledge(self, notice_id: int) -> None:
        """The owner has seen it. Again is no fault. Raises `Rejected("no-such-notice")`."""
        with self._lock:
            found = next((n for n in self._notices if n.id == notice_id), None)
            if found is None:
                raise Rejected("no-such-notice", "there is no such notification")
            if not found.acknowledged:
                self._write(self._with(found, acknowledged=True), self._next_id)

    def _with(self, notice: Notice, **changes: object) -> tuple[Notice, ...]:
        changed = msgspec.structs.replace(notice, **changes)
        return tuple(changed if n is notice else n for n in self._notices)

    def _write(self, notices: tuple[Notice, ...], next_id: int) -> None:
        file = _File(next_id=next_id, notices=notices)
        write_atomic(self._path, msgspec.json.encode(file))
        self._notices, self._next_id = notices, next_id

    def _load(self) -> None:
        try:
            data = read_bounded(self._path, max_bytes=_FILE_BYTES)
            file = msgspec.json.decode(data, type=_File)
        except (Rejected, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self.damage = f"notices.json: {error}"
            self._path.replace(self._path.with_name("notices.json.damaged"))
            return
        self._notices, self._next_id = file.notices[-MAX_NOTICES:], file.next_id


def _bounded(notices: tuple[Notice, ...]) -> tuple[Notice, ...]:
    if len(notices) <= MAX_NOTICES:
        return notices
    leaving = next((n for n in notices if n.acknowledged), notices[0])
    return tuple(n for n in notices if n is not leaving)
