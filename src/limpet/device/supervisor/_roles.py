"""Who is started from a slot: read from its design file.

Owns the reading; `_policy` decides.
"""

from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.device.supervisor._policy import decide_roles
from limpet.errors import LimpetError
from limpet.product import PRODUCT_FILE, load_product

__all__ = ["load_roles"]


def load_roles(start: Start) -> tuple[Role, ...]:
    """The roles, in order; a damaged design file is told by those who need it."""
    try:
        return decide_roles(load_product(start.slot_path / PRODUCT_FILE))
    except LimpetError:
        return decide_roles(None)
