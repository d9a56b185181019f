"""`firmware.json`: what an installed tree says of itself.

Owns the type and its file. It is part of the tree, so the tree's signed digest
covers it; it decides nothing that the signed manifest decides.
"""

from pathlib import Path
from typing import Literal

from limpet.crypto.suites import SuiteId
from limpet.errors import Rejected
from limpet.storage import read_bounded
from limpet.wire.codec import Message, Moment, decode_json
from limpet.wire.release import FIRST_SUITE, Count, ModelName, Version

__all__ = ["DESCRIPTION_FILE", "FirmwareDescription", "load_description"]

DESCRIPTION_FILE = "firmware.json"
_DESCRIPTION_BYTES = 16 << 10


class FirmwareDescription(Message, frozen=True, kw_only=True):
    """One firmware, as its builder described it."""

    spec: Literal["limpet-firmware-1"] = "limpet-firmware-1"
    model: ModelName
    hardware_revisions: tuple[str, ...]
    version: Version
    security_counter: Count
    interface_version: Count
    built_at: Moment  # UTC
    suite: SuiteId = FIRST_SUITE  # the file in runtime/limpet/crypto/suites
    source_commit: str = ""


def load_description(slot: Path) -> FirmwareDescription:
    """The description of the tree at `slot`.

    Raises `Unavailable` (no such file) and `Rejected("malformed")`.
    """
    data = read_bounded(slot / DESCRIPTION_FILE, max_bytes=_DESCRIPTION_BYTES)
    found = decode_json(data, FirmwareDescription, max_bytes=_DESCRIPTION_BYTES)
    if found.built_at.tzinfo is None:
        raise Rejected("malformed", f"{slot / DESCRIPTION_FILE}: built_at has no time zone")
    return found
