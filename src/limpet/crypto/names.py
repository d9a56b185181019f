"""The names of a device, and which names and addresses a home has.

Owns the rule of what a household certificate may name: special-use names that no registry
ever sells, and addresses that no one else's host has. A name that somebody could register
could be resolved to a device by its owner (DNS rebinding).
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from limpet.errors import Rejected

__all__ = [
    "HOME_DOMAINS",
    "HOME_NETWORKS",
    "Network",
    "home_name",
    "own_name",
    "parse_networks",
    "pinned_name",
    "verify_home_address",
    "verify_home_name",
]

Network = IPv4Network | IPv6Network

HOME_DOMAINS = ("local", "home.arpa")
"""RFC 6762, 3 (multicast DNS) and RFC 8375 (home networks)."""

HOME_NETWORKS: Sequence[Network] = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",  # RFC 1918
        "169.254.0.0/16", "fe80::/10",  # link-local: RFC 3927, RFC 4291
        "fc00::/7",  # unique local: RFC 4193
        "127.0.0.0/8", "::1/128",  # this machine, for a device that is run on it
    )
)  # fmt: skip

_HOST = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(local|home\.arpa)\Z")


def own_name(serial: str) -> str:
    """The name in the local network (RFC 6762) that the device `serial` alone has."""
    return f"{serial.lower()}.local"


def home_name(serial: str) -> str:
    """The name for a home's own name server (RFC 8375)."""
    return f"{serial.lower()}.home.arpa"


def pinned_name(serial: str) -> str:
    """What a client that trusts the maker's root alone asks for: never looked up (RFC 9476)."""
    return f"{serial.lower()}.limpet.alt"


def verify_home_name(name: str) -> str:
    """`name` in lower case, if a home may give it. Raises `Rejected("foreign-name")`."""
    lower = name.lower()
    if not _HOST.match(lower):
        raise Rejected(
            "foreign-name",
            f"{name[:64]!r} is not a name that a home has",
            hint="a household's names end in .local or .home.arpa",
        )
    return lower


def verify_home_address(address: str) -> str:
    """`address`, if it is of a home's networks. Raises `Rejected("foreign-name")`."""
    try:
        parsed = ip_address(address)
    except ValueError as error:
        raise Rejected("foreign-name", f"{address[:64]!r} is no IP address") from error
    if not any(parsed in network for network in HOME_NETWORKS):
        raise Rejected(
            "foreign-name",
            f"{parsed} is an address of the Internet, not of a home",
            hint="reach the device by its name, or by its address in the local network",
        )
    return str(parsed)


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks as a person writes them, within `HOME_NETWORKS`. Raises `Rejected`."""
    networks = []
    for text in texts:
        try:
            network = ip_network(text)
        except ValueError as error:
            raise Rejected(
                "bad-network", f"{text[:64]!r} is no network", hint="write 192.168.1.0/24"
            ) from error
        if not any(_is_within(network, home) for home in HOME_NETWORKS):
            raise Rejected("bad-network", f"{network} is not within a home's networks")
        networks.append(network)
    return tuple(networks)


def _is_within(network: Network, home: Network) -> bool:
    # The library refuses to compare the two versions, also for the type checker.
    if isinstance(network, IPv4Network) and isinstance(home, IPv4Network):
        return network.subnet_of(home)
    if isinstance(network, IPv6Network) and isinstance(home, IPv6Network):
        return network.subnet_of(home)
    return False
