"""Where a device stands in its support period, in words, and what follows after the end.

Pure but for the record `support.json`. The newest statement that `releases/<model>` signed goes
before the design file's dates, after a restart without a network too. Who holds the online keys
can neither shorten nor lengthen it.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from limpet.errors import LimpetError, Unavailable
from limpet.product import Support
from limpet.storage import read_bounded, write_atomic
from limpet.wire.codec import decode_json, encode_json
from limpet.wire.support import SUPPORT_BYTES, AfterSupport, SupportStatement

__all__ = [
    "NOTICE_DAYS",
    "Phase",
    "SupportStanding",
    "decide_support",
    "is_newer",
    "load_support",
    "save_support",
]

NOTICE_DAYS = 90
"""So many days before the end, the device begins to tell its owner."""

_LAST_SECOND = time(23, 59, 59)
_AFTERWARDS: Mapping[AfterSupport, str] = {
    AfterSupport.KEEPS_WORKING_LOCALLY: "it keeps working in your network, without updates",
    AfterSupport.STOPS_REMOTE_FUNCTIONS: (
        "its functions that use the Internet stop;"
        " it keeps working in your network, without updates"
    ),
}


class Phase(enum.Enum):
    """Of the support period."""

    SUPPORTED = "supported"
    ENDS_SOON = "support-ends-soon"
    OVER = "support-over"


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportStanding:
    """What is promised, and where that stands at the moment that was asked for."""

    until: datetime  # UTC, the last moment
    after: AfterSupport
    text: str  # the vendor's own
    phase: Phase
    notice: str  # what the owner is told; empty while the end is far

    @property
    def remote_functions(self) -> bool:
        """Whether the product's code may still use the Internet."""
        over = self.phase is Phase.OVER
        return not (over and self.after is AfterSupport.STOPS_REMOTE_FUNCTIONS)

    def next_change(self, now: datetime) -> datetime | None:
        """UTC: when the phase changes next, or None after the end."""
        moments = (self.until - timedelta(days=NOTICE_DAYS), self.until)
        return next((moment for moment in moments if moment >= now), None)


def decide_support(
    promised: Support, statement: SupportStatement | None, now: datetime
) -> SupportStanding:
    """Where support stands at `now` (UTC)."""
    until = datetime.combine(promised.until, _LAST_SECOND, UTC)
    after, text = AfterSupport(promised.after.value), promised.text
    if statement is not None:
        until, after, text = statement.until, statement.after, statement.text
    phase = Phase.SUPPORTED
    if now > until:
        phase = Phase.OVER
    elif now > until - timedelta(days=NOTICE_DAYS):
        phase = Phase.ENDS_SOON
    return SupportStanding(
        until=until,
        after=after,
        text=text,
        phase=phase,
        notice=_notice(phase, until, after, now),
    )


def _notice(phase: Phase, until: datetime, after: AfterSupport, now: datetime) -> str:
    day, then = f"{until:%Y-%m-%d}", _AFTERWARDS[after]
    if phase is Phase.OVER:
        return f"Security updates ended on {day}: {then}"
    if phase is Phase.ENDS_SOON:
        left = (until - now).days
        when = f"in {left} days" if left > 1 else "tomorrow" if left else "today"
        return f"Security updates end on {day}, {when}; after that {then}"
    return ""


def is_newer(statement: SupportStatement, known: SupportStatement | None) -> bool:
    """Whether `statement` replaces the one that is known: an older one never does."""
    return known is None or statement.issued_at >= known.issued_at


def load_support(file: Path) -> tuple[SupportStatement | None, str]:
    """The newest statement seen, and a warning if its record is damaged: then the design file's
    dates hold until the next check."""
    try:
        data = read_bounded(file, max_bytes=SUPPORT_BYTES)
    except Unavailable:
        return None, ""
    try:
        return decode_json(data, SupportStatement, max_bytes=SUPPORT_BYTES), ""
    except LimpetError as error:
        return None, f"{file.name} was damaged: {error.message}"


def save_support(file: Path, statement: SupportStatement) -> None:
    """Make it durable. Raises `Unavailable`."""
    write_atomic(file, encode_json(statement))
