"""What boot decides, apart from doing it: how long to wait, and when a trial is over."""

from pathlib import Path

from limpet.errors import LimpetError

__all__ = ["DEFAULT_DEADLINE", "decide_deadline", "decide_delay"]

DEFAULT_DEADLINE = 60.0
"""Seconds that a slot on trial gets if neither boot nor its design file says otherwise."""

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
STEADY_SECONDS = 60.0


def decide_delay(crashes: int, *, lived: float) -> tuple[int, float]:
    """After a crash of the supervisor: crashes in a row, and seconds before the next start."""
    crashes = 1 if lived >= STEADY_SECONDS else crashes + 1
    return crashes, float(min(FIRST_DELAY * 2 ** min(crashes - 1, 16), LONGEST_DELAY))


def decide_deadline(given: float | None, slot_path: Path) -> float:
    """Seconds within which the slot must be confirmed: as given, by its design file, or default."""
    if given is not None:
        return given
    from limpet.product import PRODUCT_FILE, load_product  # only a trial needs to know it

    try:
        return float(load_product(slot_path / PRODUCT_FILE).update.health_deadline_seconds)
    except LimpetError:
        return DEFAULT_DEADLINE
