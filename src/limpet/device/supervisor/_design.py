"""The design file of the slot, as the supervisor needs it: read once in a run.

Owns the reading; `_policy` decides.
"""

from limpet.device.link.start import Start
from limpet.errors import LimpetError
from limpet.product import PRODUCT_FILE, Product, load_product

__all__ = ["load_design"]


def load_design(start: Start) -> Product | None:
    """The design; None for a damaged file, which those tell who cannot do without."""
    try:
        return load_product(start.slot_path / PRODUCT_FILE)
    except LimpetError:
        return None
