"""What a design file's network interfaces change for the networks that devices stand in. Pure.

Owns the comparison of two designs: ports that peers use, and flows that a firewall lets out.
What is no network (buttons, wires) is not compared.
"""

from collections.abc import Iterator

from limpet.firmware.interface import Change
from limpet.product import Direction, Interface, Product, Transport

__all__ = ["compare_flows"]


def compare_flows(old: Product, new: Product) -> tuple[Change, ...]:
    """What breaks, and what is opened, which breaks nobody.

    A flow out that ends, and another way to log in, are neither.
    """
    before, after = _ports(old), _ports(new)
    found = [
        *(Change(f"removed {name}", True) for name in sorted(before.keys() - after.keys())),
        *(Change(f"opens {name}", False) for name in sorted(after.keys() - before.keys())),
    ]
    for name in sorted(before.keys() & after.keys()):
        found += [Change(f"{name} {text}", True) for text in _lost(before[name], after[name])]
    calls = sorted(set(_calls(new)) - set(_calls(old)))
    return (*found, *(Change(f"calls {name}", False) for name in calls))


def _ports(design: Product) -> dict[str, Interface]:
    return {
        f"{one.transport.value} port {one.port}": one
        for one in design.interfaces
        if one.direction is Direction.IN and one.transport is not Transport.PHYSICAL
    }


def _lost(before: Interface, after: Interface) -> Iterator[str]:
    if before.protocol != after.protocol:
        yield f"speaks {after.protocol!r}, and spoke {before.protocol!r}"
    for way in sorted(set(before.authentication) - set(after.authentication)):
        yield f"no longer takes {way.value}"
    if after.authentication and not before.authentication:
        yield f"needs {', '.join(sorted(after.authentication))} now"


def _calls(design: Product) -> Iterator[str]:
    for one in design.interfaces:
        if one.direction is Direction.OUT and one.transport is not Transport.PHYSICAL:
            for peer in (*one.hosts, *one.peers):
                yield f"{peer}, {one.transport.value} port {one.port}"
