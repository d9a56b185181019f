"""Whether a product tells its local network where it is.

Owns the one inbound UDP port that the runtime knows: multicast DNS (RFC 6762).
"""

from ._types import Direction, Interface, Product, Transport

__all__ = ["ANNOUNCEMENT_PORT", "announces", "is_announcement"]

ANNOUNCEMENT_PORT = 5353


def announces(product: Product) -> bool:
    """Whether the announcer is started: only where its door is declared."""
    return any(is_announcement(one) for one in product.interfaces)


def is_announcement(interface: Interface) -> bool:
    """Whether `interface` is the door of multicast DNS."""
    is_inbound = interface.direction is Direction.IN and interface.transport is Transport.UDP
    return is_inbound and interface.port == ANNOUNCEMENT_PORT
