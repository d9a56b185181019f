"""When accounts may end its process until it is asked, and what it leaves to its next one.

Owns that decision and `rest.json`, the throttle's clock: without it every rest would be a restart,
across which a forged wall clock is believed for an hour (`clock.py`). Nothing may be lost that a
guesser would gain by: see docs/adr/0084.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from limpet.device.accounts.clock import GuardedClock
from limpet.device.accounts.service import AccountsService
from limpet.errors import LimpetError
from limpet.storage import read_bounded, write_atomic
from limpet.wire.codec import Message, decode_json, encode_json

__all__ = ["IDLE_SECONDS", "REST_FILE", "Rested", "is_needed", "keep_clock", "take_clock"]

IDLE_SECONDS = 300.0
"""Longer than other roles: somebody who uses the device shall not wait for a start each time."""

REST_FILE = "rest.json"
_BYTES = 4 << 10

Seconds = Annotated[float, Meta(ge=0)]


class Rested(Message, frozen=True, kw_only=True):
    """The throttle's clock read `reading` at the second `at` of the monotonic clock."""

    spec: Literal["limpet-accounts-rest-1"] = "limpet-accounts-rest-1"
    reading: Seconds
    at: Seconds


def is_needed(service: AccountsService) -> bool:
    """Whether something is under way that lives in this process: a wait or a deadline that running
    time ends, an erasure, somebody at the device or at a second factor, a guess to remember."""
    records = service.records
    waits = records.takeover or records.offer or records.invitations or records.erase_pending
    present = service.is_at_the_device() or service.factors.is_begun
    return bool(waits) or present or service.guard.remembers


def keep_clock(directory: Path, *, reading: float, at: float) -> None:
    """Leave the record to the next process. Raises `Unavailable`."""
    write_atomic(directory / REST_FILE, encode_json(Rested(reading=reading, at=at)))


def take_clock(
    directory: Path, *, least: float, monotonic: Callable[[], float]
) -> GuardedClock | None:
    """The clock that a resting process left, once; None if there is none to go on from.

    A reading below `least`, the durable one, is older than the last guess.
    """
    file = directory / REST_FILE
    try:
        record = decode_json(read_bounded(file, max_bytes=_BYTES), Rested, max_bytes=_BYTES)
    except LimpetError:
        return None
    finally:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
    if record.reading < least:
        return None
    return GuardedClock.go_on(reading=record.reading, at=record.at, monotonic=monotonic)
