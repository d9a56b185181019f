"""A device's security log outside the device: fetched whole, its chain verified, anchored.

Owns what a chain proves. Each line holds the SHA-256 of the one before, so nothing within
an exported file can be changed, removed or inserted unseen. That the device has not begun
the whole chain anew is proved by an anchor: the newest entry that this computer has seen
before, which must stand in the log still, or just before its first line.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from limpet.errors import Rejected
from limpet.owner.client import DeviceClient

__all__ = [
    "FIRST",
    "MAX_LINES",
    "Anchor",
    "SealedEntry",
    "VerifiedLog",
    "fetch_log",
    "parse_export",
    "verify_log",
]

FIRST = "0" * 64
"""What the first entry of a chain holds for the one before."""

MAX_LINES = 20_000
"""More than a device keeps (2 x 128 KiB)."""


class SealedEntry(msgspec.Struct, frozen=True):
    """What the chain needs of a line."""

    number: int
    previous: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """An entry that was seen: its number, and the SHA-256 of its line in hex. 0: none."""

    number: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class VerifiedLog:
    """Lines whose chain holds; only `verify_log` makes one.

    `complete`: it begins with the first entry of the chain. `anchored`: it continues what was
    seen before; False where nothing was, or where the device has already dropped that part.
    """

    lines: tuple[str, ...]
    newest: Anchor
    complete: bool
    anchored: bool


def verify_log(lines: Sequence[str], *, anchor: Anchor) -> VerifiedLog:
    """The log, if each line follows the one before, and it does not contradict `anchor`.

    Raises `Rejected("broken-log")` with the place, or `Rejected("log-rewritten")` if an entry
    that was seen is another one now, or is gone although later ones are not.
    """
    seen: dict[int, str] = {}
    before = Anchor()
    for place, line in enumerate(lines, start=1):
        entry = _parse(line, place)
        follows = entry.previous == before.digest and entry.number == before.number + 1
        if place > 1 and not follows:
            raise _broken(place, "does not follow the one before")
        if place == 1:
            if entry.number == 1 and entry.previous != FIRST:
                raise _broken(place, "is no beginning")
            seen[entry.number - 1] = entry.previous
        before = Anchor(entry.number, hashlib.sha256(line.encode()).hexdigest())
        seen[before.number] = before.digest
    if anchor.number and not _is_continued(seen, before, anchor):
        raise Rejected(
            "log-rewritten",
            f"entry {anchor.number} of the security log is not the one that was seen before",
            hint="the device's log was replaced: by a reset, or by somebody who controls it",
        )
    return VerifiedLog(
        lines=tuple(lines),
        newest=before,
        complete=seen.get(0) == FIRST,
        anchored=bool(anchor.number) and anchor.number in seen,
    )


def fetch_log(client: DeviceClient, *, anchor: Anchor) -> VerifiedLog:
    """All that the device keeps, page by page. Raises as `verify_log` and `DeviceClient` do."""
    lines: list[str] = []
    number = 0
    while True:
        page = client.events_after(number)
        lines += page.lines
        if not page.more or not page.lines:
            return verify_log(lines, anchor=anchor)
        if len(lines) > MAX_LINES:
            raise Rejected("too-large", f"a security log of more than {MAX_LINES} lines")
        number = _parse(page.lines[-1], len(lines)).number


def parse_export(data: bytes) -> tuple[str, ...]:
    """The lines of an exported file. Raises `Rejected("broken-log")`."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Rejected("broken-log", "the file is not text") from error
    if text and not text.endswith("\n"):
        raise Rejected("broken-log", "the file's last line is cut off")
    return tuple(text.split("\n")[:-1])


def _is_continued(seen: dict[int, str], newest: Anchor, anchor: Anchor) -> bool:
    if anchor.number in seen:
        return seen[anchor.number] == anchor.digest
    # Older than what the device keeps proves nothing; newer than its newest is gone.
    return bool(seen) and anchor.number < min(seen) and newest.number > anchor.number


def _parse(line: str, place: int) -> SealedEntry:
    try:
        return msgspec.json.decode(line, type=SealedEntry)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _broken(place, "is no entry") from error


def _broken(place: int, what: str) -> Rejected:
    return Rejected("broken-log", f"the security log is damaged: line {place} {what}")
