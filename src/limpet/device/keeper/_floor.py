"""The time that is certainly past, as the keeper knows it: persisted, and never lowered.

Owns `time.json`. It is raised by what offline keys have signed and boot has verified (the
build time of the firmware), by no clock, by no server and by no other role's word.
"""

from datetime import UTC, datetime
from pathlib import Path

from limpet.device.link.start import Start
from limpet.errors import Rejected, Unavailable
from limpet.firmware.description import load_description
from limpet.storage import read_bounded, write_atomic
from limpet.wire.codec import Message, decode_json, encode_json

__all__ = ["keep_time_floor", "raise_time_floor"]

_FILE = "time.json"
_BYTES = 1024


class _Record(Message, frozen=True, kw_only=True):
    floor: datetime  # UTC


def keep_time_floor(start: Start) -> datetime:
    """The floor of this start, made durable where it rose. Raises `Rejected`, `Unavailable`."""
    built_at = load_description(start.slot_path).built_at
    return raise_time_floor(start.private, built_at)


def raise_time_floor(directory: Path, authenticated: datetime) -> datetime:
    """The later of the kept floor and `authenticated`; a damaged record is begun anew."""
    file = directory / _FILE
    known = authenticated.astimezone(UTC)
    try:
        kept = decode_json(read_bounded(file, max_bytes=_BYTES), _Record, max_bytes=_BYTES).floor
        if kept.tzinfo is not None and kept >= known:
            return kept.astimezone(UTC)
    except (Rejected, Unavailable):
        pass  # the first start, or damage: the firmware's own time is always there
    write_atomic(file, encode_json(_Record(floor=known)), mode=0o600)
    return known
