"""What the updater leaves to its next process while it rests (docs/adr/0084).

Owns `rest.json`: what the last check found, for the owner's status, and when the next check is
due. A waking updater must not draw that wait anew, or whoever wakes it often enough would keep it
from ever checking. Nothing is decided by the rest of the record; the next check replaces it.
"""

import contextlib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from limpet.device.updater.check import CheckResult, Outcome
from limpet.device.updater.floor import Floor
from limpet.errors import LimpetError
from limpet.storage import read_bounded, write_atomic
from limpet.wire.codec import Message, Moment, decode_json, encode_json
from limpet.wire.release import Version

__all__ = ["LEAST_SECONDS", "Rested", "is_restful", "keep_rest", "recall_check", "take_rest"]

LEAST_SECONDS = 60.0
"""A shorter rest is not worth the start of a process."""

_BYTES = 64 << 10


class Rested(Message, frozen=True, kw_only=True):
    """The record. `check_at` is a second of the monotonic clock, which all processes share until
    the next start of the machine; after one, the waking updater draws another wait."""

    spec: Literal["limpet-rest-1"] = "limpet-rest-1"
    version: Version  # that ran
    check_at: float
    left: Annotated[float, Meta(ge=0, le=7 * 86400)]  # seconds until then, when the rest began
    outcome: Literal["none", "nothing", "unavailable"]  # of the last check; none yet
    failures: Annotated[int, Meta(ge=0)] = 0  # in a row, up to now
    told_running: Moment | None = None  # when the vendor was last told that this runs
    reason: Annotated[str, Meta(max_length=1024)] = ""
    detail: Annotated[str, Meta(max_length=1024)] = ""
    planned_interval: int | None = None


def is_restful(result: CheckResult | None) -> bool:
    """Whether the last check leaves nothing to wait for but the next one."""
    return result is None or result.outcome in (Outcome.NOTHING, Outcome.UNAVAILABLE)


def keep_rest(
    file: Path,
    result: CheckResult | None,
    *,
    version: str,
    check_at: float,
    left: float,
    failures: int,
    told_running: datetime | None,
) -> None:
    """Leave the record of a restful result. Raises `Unavailable`."""
    record = Rested(
        version=version,
        check_at=check_at,
        left=left,
        outcome=_outcome(result),
        failures=failures,
        told_running=told_running,
        reason=result.reason[:1024] if result else "",
        detail=result.detail[:1024] if result else "",
        planned_interval=result.planned_interval if result else None,
    )
    write_atomic(file, encode_json(record))


def _outcome(result: CheckResult | None) -> Literal["none", "nothing", "unavailable"]:
    if result is None:
        return "none"
    return "nothing" if result.outcome is Outcome.NOTHING else "unavailable"


def take_rest(file: Path, *, version: str) -> Rested | None:
    """The record, once: none if there is none, it is damaged, or other firmware left it.

    A cut of power may bring it back: then it is older news until the next check.
    """
    try:
        record = decode_json(read_bounded(file, max_bytes=_BYTES), Rested, max_bytes=_BYTES)
    except LimpetError:
        return None
    with contextlib.suppress(OSError):
        file.unlink()
    return record if record.version == version else None


def recall_check(rested: Rested, floor: Floor) -> CheckResult | None:
    """The last check, as far as it matters until the next one."""
    if rested.outcome == "none":
        return None
    return CheckResult(
        outcome=Outcome(rested.outcome),
        floor=floor,
        reason=rested.reason,
        detail=rested.detail,
        planned_interval=rested.planned_interval,
    )
