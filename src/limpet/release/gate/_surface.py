"""What is open on a device, against what its design file declares. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from limpet.product import PRODUCT_FILE, Direction, Product, Transport
from limpet.release.gate._rule import Fault
from limpet.release.gate._trial import Port, Socket

__all__ = ["compare_surface", "declared_ports", "describe_socket"]

_DECLARE = 'declare it as [[interfaces]] with direction = "in", or do not open it'
_NO_WAY_IN = "take it out: no design file can declare such a way in"
_NETWORK = (Transport.TCP, Transport.UDP)


def declared_ports(design: Product) -> dict[Port, str]:
    """What the design declares as open to a network, with the interfaces' ids, in its order."""
    return {
        (one.transport.value, one.port or 0): one.id
        for one in design.interfaces
        if one.direction is Direction.IN and one.transport in _NETWORK
    }


def compare_surface(declared: Mapping[Port, str], found: Iterable[Socket]) -> tuple[Fault, ...]:
    """A fault for each open port that is not declared, and each declared one that is not open."""
    opened = {one.key: one for one in found}
    return (*_undeclared(declared, opened), *_closed(declared, opened))


def _undeclared(declared: Mapping[Port, str], opened: dict[Port, Socket]) -> Iterator[Fault]:
    for key in sorted(opened.keys() - declared.keys()):
        hint = _DECLARE if key[0] in _NETWORK else _NO_WAY_IN
        yield Fault(f"{describe_socket(opened[key])}, which is not declared", hint=hint)


def _closed(declared: Mapping[Port, str], opened: dict[Port, Socket]) -> Iterator[Fault]:
    for key in sorted(declared.keys() - opened.keys()):
        transport, port = key
        yield Fault(
            f"{declared[key]}: it declares {transport} port {port}, which nothing opens",
            PRODUCT_FILE,
            hint="take it out of the design file, or open it",
        )


def describe_socket(one: Socket) -> str:
    """In words: "gateway opens tcp port 8443 (0.0.0.0)"."""
    who = one.holder or "a process"
    if one.transport in ("packet", "unix"):
        return f"{who} opens a socket of kind {one.transport} ({one.address})"
    kind = "protocol" if one.transport in ("raw", "icmp") else "port"
    return f"{who} opens {one.transport} {kind} {one.port} ({one.address})"
