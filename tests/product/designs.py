"""The thermostat's design, and one with a flow of every kind."""

from pathlib import Path

import msgspec

from limpet.product import Direction, Interface, Product, Transport, User, load_product

EXAMPLE = Path(__file__).parents[2] / "examples" / "thermostat"
THERMOSTAT = load_product(EXAMPLE / "product.toml")


def interface(**parts: object) -> Interface:
    """An interface with these parts."""
    given = {"id": "more", "description": "More.", "protocol": "words", **parts}
    return Interface(**given)  # type: ignore[arg-type]


def design_with(*interfaces: Interface) -> Product:
    """The thermostat with `interfaces` more, and their hosts."""
    hosts = dict.fromkeys((*THERMOSTAT.vendor.hosts, *(h for i in interfaces for h in i.hosts)))
    return msgspec.structs.replace(
        THERMOSTAT,
        interfaces=(*THERMOSTAT.interfaces, *interfaces),
        vendor=msgspec.structs.replace(THERMOSTAT.vendor, hosts=tuple(hosts)),
    )


PORTAL = interface(
    id="portal",
    direction=Direction.OUT,
    transport=Transport.TCP,
    port=8883,
    hosts=("meter.example.com",),
    used_by=User.APP,
)
ANNOUNCEMENT = interface(
    id="announcement",
    direction=Direction.OUT,
    transport=Transport.UDP,
    port=5353,
    peers=("the local network",),
)
CLOCK = interface(
    id="clock", direction=Direction.OUT, transport=Transport.UDP, port=123, peers=("its server",)
)
HUB = interface(
    id="hub", direction=Direction.OUT, transport=Transport.TCP, port=1883, hosts=("hub.local",)
)
RICH = design_with(PORTAL, ANNOUNCEMENT, CLOCK, HUB)
