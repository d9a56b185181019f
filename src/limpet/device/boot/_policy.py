"""What boot decides, apart from doing it: when a trial is over."""

from pathlib import Path

from limpet.errors import LimpetError

__all__ = ["DEFAULT_DEADLINE", "decide_deadline"]

DEFAULT_DEADLINE = 60.0
"""Seconds that a slot on trial gets if neither boot nor its design file says otherwise."""


def decide_deadline(given: float | None, slot_path: Path) -> float:
    """Seconds within which the slot must be confirmed: as given, by its design file, or default."""
    if given is not None:
        return given
    from limpet.product import PRODUCT_FILE, load_product  # only a trial needs to know it

    try:
        return float(load_product(slot_path / PRODUCT_FILE).update.health_deadline_seconds)
    except LimpetError:
        return DEFAULT_DEADLINE
