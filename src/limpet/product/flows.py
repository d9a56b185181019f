"""What crosses a device's network port by its design: the flows that every policy is made from.

Owns the reading of the interfaces as flows. The MUD file and the packet filters are written
from these and from nothing else, so that they cannot say anything that the design does not.
"""

from dataclasses import dataclass
from enum import StrEnum

from ._types import Direction, Product, Transport, User

__all__ = ["LOCAL_SUFFIXES", "Flow", "Peers", "is_local_name", "list_flows", "list_hosts"]

LOCAL_SUFFIXES = (".local", ".home.arpa", ".internal")
"""Names that only the local network gives: RFC 6762, RFC 8375, and ICANN's of July 2024."""


class Peers(StrEnum):
    """Whom a flow is with."""

    HOSTS = "hosts"  # named in the design
    NAME_SERVERS = "name-servers"
    TIME_SERVERS = "time-servers"
    MULTICAST_DNS = "multicast-dns"  # RFC 6762: 224.0.0.251 and ff02::fb
    LOCAL = "local"  # anybody in the local network


_SERVICES = {53: Peers.NAME_SERVERS, 123: Peers.TIME_SERVERS, 5353: Peers.MULTICAST_DNS}
"""Services whose peers have no name in a design: they are whatever the network offers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One kind of packet that is permitted: who begins it, to which port, with whom."""

    inbound: bool
    transport: Transport
    port: int
    peers: Peers
    host: str = ""  # for `Peers.HOSTS`
    user: User = User.PLATFORM


def is_local_name(host: str) -> bool:
    """Whether `host` is a name that only a local network gives."""
    return host.endswith(LOCAL_SUFFIXES) or "." not in host


def list_flows(product: Product) -> tuple[Flow, ...]:
    """Every flow of the design's network interfaces, each once, in the design's order."""
    flows: dict[Flow, None] = {}
    for interface in product.interfaces:
        if interface.transport is Transport.PHYSICAL or interface.port is None:
            continue
        inbound = interface.direction is Direction.IN
        peers = Peers.LOCAL if interface.hosts else _SERVICES.get(interface.port, Peers.LOCAL)
        if inbound and peers is not Peers.MULTICAST_DNS:
            peers = Peers.LOCAL
        transports = [interface.transport]
        if peers is Peers.NAME_SERVERS:  # RFC 7766: a long answer comes over TCP
            transports = [Transport.UDP, Transport.TCP]
        # What is announced by multicast is asked for by multicast (RFC 6762).
        directions = (False, True) if peers is Peers.MULTICAST_DNS else (inbound,)
        for transport in transports:
            for direction in directions:
                for host in interface.hosts or ("",):
                    named = bool(host) and not is_local_name(host)
                    flow = Flow(
                        inbound=direction,
                        transport=transport,
                        port=interface.port,
                        peers=Peers.HOSTS if named else peers,
                        host=host if named else "",
                        user=interface.used_by,
                    )
                    flows[flow] = None
    return tuple(flows)


def list_hosts(product: Product) -> tuple[str, ...]:
    """The hosts that a policy must find addresses for, each once."""
    named = [flow.host for flow in list_flows(product) if flow.host]
    return tuple(dict.fromkeys(named))
