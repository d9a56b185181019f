"""The updater's own records: one file each, read with a bound, begun anew where a disk damaged it.

Owns that rule. Only this process writes them, atomically: what damages one is a disk, and that
stops no update. What each holds, and what is lost with it, is where its type is.
"""

from pathlib import Path
from typing import TypeVar

from limpet.errors import Rejected
from limpet.storage import read_bounded
from limpet.wire.codec import Message, decode_json

__all__ = ["RECORD_BYTES", "load_or_begin"]

RECORD_BYTES = 64 << 10

R = TypeVar("R", bound=Message)


def load_or_begin(file: Path, kind: type[R]) -> tuple[R, str]:
    """The record of `kind`, and a warning if it was damaged and is begun anew; a new one where
    there is none. Raises `Unavailable`."""
    if not file.exists():
        return kind(), ""
    try:
        data = read_bounded(file, max_bytes=RECORD_BYTES)
        return decode_json(data, kind, max_bytes=RECORD_BYTES), ""
    except Rejected as error:
        return kind(), f"{file.name} was damaged: {error.message}"
