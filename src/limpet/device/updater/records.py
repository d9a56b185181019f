"""The updater's own records: one file each, read with a bound, begun anew where a disk damaged it.

Owns that rule. Only this process writes them, atomically: what damages one is a disk, and that
stops no update. What each holds, and what is lost with it, is where its type is.
"""

from pathlib import Path
from typing import TypeVar

from limpet.errors import Rejected, Unavailable
from limpet.storage import DAMAGED_STORAGE, read_bounded, remove_tree
from limpet.wire.codec import Message, decode_json

__all__ = ["RECORD_BYTES", "is_damage", "load_or_begin", "set_aside"]

RECORD_BYTES = 64 << 10

_DAMAGED_SUFFIX = ".damaged"

R = TypeVar("R", bound=Message)


def load_or_begin(file: Path, kind: type[R]) -> tuple[R, str]:
    """The record of `kind`, and a warning if it was damaged and is begun anew; a new one where
    there is none. Raises `Unavailable` for what passes, or if it cannot be set aside."""
    if not file.exists():
        return kind(), ""
    try:
        data = read_bounded(file, max_bytes=RECORD_BYTES)
        return decode_json(data, kind, max_bytes=RECORD_BYTES), ""
    except (Rejected, Unavailable) as error:
        if not is_damage(error):
            raise
        set_aside(file)
        return kind(), f"{file.name} was damaged: {error.message}"


def is_damage(error: Rejected | Unavailable) -> bool:
    """Whether a record that gave `error` will never be read again: no space and no right mends
    it."""
    return isinstance(error, Rejected) or error.reason == DAMAGED_STORAGE


def set_aside(file: Path) -> None:
    """Make room for another record in the place of `file`, which is kept for whoever looks into
    it. Raises `Unavailable`."""
    aside = file.with_name(file.name + _DAMAGED_SUFFIX)
    try:
        remove_tree(aside)
        file.replace(aside)
    except OSError as error:
        raise Unavailable(f"cannot set {file} aside: {error.strerror}") from error
