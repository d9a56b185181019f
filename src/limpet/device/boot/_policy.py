"""What boot decides, apart from doing it: when a trial is over.

Boot is older than the slot that it starts, perhaps by years: of that slot's design file it reads
the one number that it needs, and lets everything else be what it may.
"""

import tomllib
from pathlib import Path
from typing import Any

from limpet.errors import LimpetError
from limpet.storage import read_bounded

__all__ = ["DEFAULT_DEADLINE", "decide_deadline"]

DEFAULT_DEADLINE = 60.0
"""Seconds that a slot on trial gets if neither boot nor its design file says otherwise."""


LEAST_SECONDS, MOST_SECONDS = 5, 3600
_DESIGN_BYTES = 256 << 10


def decide_deadline(given: float | None, slot_path: Path) -> float:
    """Seconds within which the slot must be confirmed: as given, by its design file, or default."""
    if given is not None:
        return given
    try:
        data = read_bounded(slot_path / "product.toml", max_bytes=_DESIGN_BYTES)
        seconds: Any = tomllib.loads(data.decode())["update"]["health_deadline_seconds"]
    except (LimpetError, ValueError, KeyError, TypeError, RecursionError):
        return DEFAULT_DEADLINE
    if type(seconds) is not int or not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        return DEFAULT_DEADLINE
    return float(seconds)
