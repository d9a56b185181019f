"""The public record of a look. Making it is pure; writing it replaces the old one whole.

Owns what of the watch is public: numbers and times. Names no vulnerability and no component.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from limpet.release.advisories import StoreFacts
from limpet.storage import make_directory, write_atomic
from limpet.wire.codec import encode_json
from limpet.wire.watch import WATCH_FILE, WatchedEcosystem, WatchedRelease, WatchRecord

from ._types import Closing, Entry, Sight

__all__ = ["make_record", "write_record"]

_MAX_RELEASES = 10_000
_MAX_TROUBLES = 64


def make_record(
    sight: Sight, entries: Sequence[Entry], *, every_hours: float | None
) -> WatchRecord:
    """What anybody may know of the look."""
    fixable = [one for one in entries if one.is_open and one.fixable]
    waits = [wait for one in entries if (wait := one.time_to_fix) is not None]
    return WatchRecord(
        looked_at=sight.now,
        every_hours=every_hours,
        conclusive=sight.conclusive,
        troubles=tuple(sorted({one.reason for one in sight.troubles}))[:_MAX_TROUBLES],
        releases=tuple(
            WatchedRelease(
                model=one.release.model,
                version=one.release.version,
                components=one.components,
                sbom=one.release.sbom or None,
                looked_up=one.whole,
            )
            for one in sight.seen[:_MAX_RELEASES]
        ),
        advisories=sight.facts.advisories if sight.facts else 0,
        digest=(sight.facts.digest or None) if sight.facts else None,
        ecosystems=_ecosystems(sight.facts),
        open=dict(Counter(one.severity for one in entries if one.is_open)),
        open_fixable=len(fixable),
        oldest_fixable_at=min((one.opened_at for one in fixable), default=None),
        closed=_closed(entries),
        longest_days_to_fix=_days(max(waits)) if waits else None,
    )


def _ecosystems(facts: StoreFacts | None) -> tuple[WatchedEcosystem, ...]:
    return tuple(
        WatchedEcosystem(
            name=name, advisories=one.advisories, newest=one.newest, imported_at=one.imported_at
        )
        for name, one in (sorted(facts.ecosystems.items()) if facts else ())
    )


def _closed(entries: Sequence[Entry]) -> dict[str, int]:
    """By how they ended; what support ended with counts only if it could have been fixed."""
    found = Counter(one.closing.value for one in entries if one.closing is not None)
    left = sum(
        1
        for one in entries
        if one.fixable and one.closing is not None and one.closing is Closing.UNSUPPORTED
    )
    return {**found, "left-unfixed": left}


def _days(wait: timedelta) -> float:
    return round(wait / timedelta(days=1), 2)


def write_record(public: Path, record: WatchRecord) -> None:
    """Put it where the service and any web server find it. Raises `Unavailable`."""
    file = public / WATCH_FILE
    make_directory(file.parent, mode=0o755)
    write_atomic(file, encode_json(record), mode=0o644)
