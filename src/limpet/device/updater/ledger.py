"""What transfers have used: bytes and fruitless tries of a day, and files that are not asked again.

Owns `transfers.json` and its rules. Bytes are written down before they are fetched, in leases, so
that neither a restart nor a power cut gives anything back: what is lost with a process is at most
one lease, and it counts as used.

A day is 24 hours from the first byte, not a date: a fleet that is held would else come back
together at midnight. A clock that is set back begins another day.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from limpet.device.updater.records import load_or_begin
from limpet.storage import write_atomic
from limpet.wire.codec import Message, Moment, encode_json
from limpet.wire.release import Count

__all__ = [
    "DAY_BYTES",
    "DAY_TRIES",
    "FILE_BYTES",
    "FILE_TRIES",
    "LEASE_BYTES",
    "FileUse",
    "Ledger",
    "Spent",
    "begin_day",
    "decide_allowance",
    "is_refused",
    "lease",
    "load_ledger",
    "refuse",
    "save_ledger",
    "settle_lease",
]

DAY = timedelta(days=1)

DAY_BYTES = 512 << 20
"""Image bytes of a day, whatever for: whoever keeps a device fetching for ever (a mirror that
serves damaged files, a disk that loses them) costs its owner 512 MiB a day and no more. A larger
image takes several days, because finished groups stay."""

FILE_BYTES = 384 << 20
"""Of these for one file: a release that never arrives leaves a quarter for the one that mends
it."""

DAY_TRIES = 96
"""Requests of a day that brought next to nothing: one every quarter of an hour."""

FILE_TRIES = 64
"""Of these for one file, for the same reason as `FILE_BYTES`."""

LEASE_BYTES = 4 << 20
"""Written down at a time: one fsync for four groups of an image, and what a power cut costs."""

MAX_FILES = 16
_SET_BACK = timedelta(hours=1)  # a clock is corrected by less all the time


class FileUse(Message, frozen=True, kw_only=True):
    """What one file of the repository has used since the day began.

    `refused` is the final answer to it, a status of HTTP, under the metadata `refused_under`.
    """

    path: Annotated[str, Meta(max_length=256)]
    bytes: Count = 0
    tries: Count = 0
    refused: Annotated[int, Meta(ge=300, lt=500)] | None = None
    refused_under: Annotated[str, Meta(max_length=64)] = ""


class Ledger(Message, frozen=True, kw_only=True):
    """The whole record; `since` is when the day began (UTC)."""

    spec: Literal["limpet-transfers-1"] = "limpet-transfers-1"
    since: Moment | None = None
    bytes: Count = 0
    tries: Count = 0
    files: Annotated[tuple[FileUse, ...], Meta(max_length=MAX_FILES)] = ()

    def use_of(self, path: str) -> FileUse:
        """What `path` has used."""
        return next((use for use in self.files if use.path == path), FileUse(path=path))


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing is left until `until` (UTC); `text` is for the owner."""

    text: str
    until: datetime


def begin_day(ledger: Ledger, now: datetime) -> Ledger:
    """The ledger at `now`: as it is, or a new day's with nothing used."""
    since = ledger.since
    if since is not None and since - _SET_BACK <= now < since + DAY:
        return ledger
    kept = tuple(
        msgspec.structs.replace(use, bytes=0, tries=0)
        for use in ledger.files
        if use.refused is not None
    )
    return Ledger(since=now, files=kept)


def decide_allowance(ledger: Ledger, path: str, now: datetime) -> int | Spent:
    """How many bytes of `path` may be fetched now, or why none."""
    today = begin_day(ledger, now)
    use, until = today.use_of(path), (today.since or now) + DAY
    again = f"again at {until:%Y-%m-%d %H:%M} UTC"
    for used, most, of_what in (
        (use.bytes, FILE_BYTES, " for one release"),
        (today.bytes, DAY_BYTES, ""),
    ):
        if used >= most:
            text = f"{_mib(used)} of today's {_mib(most)}{of_what} are used, {again}"
            return Spent(text=text, until=until)
    if use.tries >= FILE_TRIES or today.tries >= DAY_TRIES:
        of_file = use.tries >= FILE_TRIES
        tries = use.tries if of_file else today.tries
        text = f"{tries} tries {'for one release' if of_file else 'today'} brought nothing"
        return Spent(text=f"{text}, {again}", until=until)
    return min(FILE_BYTES - use.bytes, DAY_BYTES - today.bytes)


def lease(ledger: Ledger, path: str, count: int, now: datetime, *, tries: int = 0) -> Ledger:
    """The ledger with `count` bytes of `path` and `tries` more, about to be used."""
    return _changed(begin_day(ledger, now), path, count, tries)


def settle_lease(ledger: Ledger, path: str, count: int, *, tries: int = 0) -> Ledger:
    """The ledger with `count` bytes and `tries` given back, that were leased and not used."""
    return _changed(ledger, path, -count, -tries)


def refuse(ledger: Ledger, path: str, status: int, *, metadata: str) -> Ledger:
    """The ledger after the final answer `status` to `path`, while `metadata` is in force."""
    use = msgspec.structs.replace(ledger.use_of(path), refused=status, refused_under=metadata)
    return _with(ledger, use)


def is_refused(ledger: Ledger, path: str, *, metadata: str) -> int | None:
    """The status that was final for `path` under this metadata, if one was."""
    use = ledger.use_of(path)
    return use.refused if use.refused_under == metadata else None


def load_ledger(file: Path) -> tuple[Ledger, str]:
    """The record, and a warning if it was damaged and is begun anew. Raises `Unavailable`."""
    return load_or_begin(file, Ledger)


def save_ledger(file: Path, ledger: Ledger) -> None:
    """Make the record durable. Raises `Unavailable`; then nothing may be fetched."""
    write_atomic(file, encode_json(ledger))


def _changed(ledger: Ledger, path: str, count: int, tries: int) -> Ledger:
    use = ledger.use_of(path)
    changed = msgspec.structs.replace(
        use, bytes=max(0, use.bytes + count), tries=max(0, use.tries + tries)
    )
    after = _with(ledger, changed)
    return msgspec.structs.replace(
        after, bytes=max(0, ledger.bytes + count), tries=max(0, ledger.tries + tries)
    )


def _with(ledger: Ledger, use: FileUse) -> Ledger:
    others = tuple(one for one in ledger.files if one.path != use.path)
    return msgspec.structs.replace(ledger, files=(*others, use)[-MAX_FILES:])


def _mib(count: int) -> str:
    return f"{count / (1 << 20):.0f} MiB"
