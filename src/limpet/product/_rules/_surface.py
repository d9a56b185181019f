"""The ways into and out of a device, and the secrets that open them."""

from collections.abc import Iterator

from .._problem import Finding, Nearest, Path, quote
from .._types import Authentication, Direction, Origin, Product, Transport, Uniqueness, User
from ..announcing import ANNOUNCEMENT_PORT, is_announcement
from ._context import Context

__all__ = [
    "MIN_ENTROPY_BITS",
    "MIN_SECRET_LENGTH",
    "a_button_is_an_interface",
    "credentials_are_not_shared",
    "datagrams_are_announced",
    "open_doors_have_reasons",
    "outbound_has_hosts",
    "secrets_are_not_guessable",
    "transports_fit",
]

MIN_ENTROPY_BITS = 80
"""Least entropy of a generated credential: throttled or not, no search finds it."""

MIN_SECRET_LENGTH = 15
"""Least length of a secret that a person chooses, where it is the only factor
(NIST SP 800-63B-4 section 3.1.1.2)."""


def transports_fit(product: Product, _: Context) -> Iterator[Finding]:
    """A port belongs to TCP and UDP, and to nothing else."""
    for index, interface in enumerate(product.interfaces):
        physical = interface.transport is Transport.PHYSICAL
        if physical and interface.port is not None:
            yield Finding(("interfaces", index, "port"), "a physical interface has no port")
        if not physical and interface.port is None:
            yield Finding(("interfaces", index, "port"), "is missing for a network interface")


def a_button_is_an_interface(product: Product, _: Context) -> Iterator[Finding]:
    """What takes an owner's device away is declared as a way in, with its threats."""
    declared = any(
        one.direction is Direction.IN
        and one.transport is Transport.PHYSICAL
        and Authentication.PHYSICAL_PRESENCE in one.authentication
        for one in product.interfaces
    )
    if product.ownership.button and not declared:
        message = "a button that no interface declares"
        hint = 'add an inbound interface: transport "physical", authentication "physical-presence"'
        yield Finding(("ownership", "button"), message, hint)


def datagrams_are_announced(product: Product, _: Context) -> Iterator[Finding]:
    """The runtime opens one UDP port to strangers, that of multicast DNS, and no other."""
    for index, interface in enumerate(product.interfaces):
        is_door = interface.direction is Direction.IN and interface.transport is Transport.UDP
        if is_door and not is_announcement(interface):
            message = f"the device opens no UDP port but {ANNOUNCEMENT_PORT} (multicast DNS)"
            yield Finding(("interfaces", index, "port"), message)


def outbound_has_hosts(product: Product, _: Context) -> Iterator[Finding]:
    """A flow out of the device names its hosts, or peers that have no name (draft-moore, 2.1)."""
    for index, interface in enumerate(product.interfaces):
        at: Path = ("interfaces", index, "hosts")
        calls_out = (
            interface.direction is Direction.OUT and interface.transport is not Transport.PHYSICAL
        )
        if calls_out and not interface.hosts and not interface.peers:
            hint = "write its hosts; peers in words only where they have no fixed name"
            yield Finding(at, "an outbound interface names its hosts", hint)
        if not calls_out and (interface.hosts or interface.peers):
            key = "hosts" if interface.hosts else "peers"
            message = f"only an outbound network interface has {key}"
            yield Finding(("interfaces", index, key), message)
        by_name = calls_out and interface.transport is Transport.TCP and interface.hosts
        if interface.used_by is User.APP and not by_name:
            message = "the app calls out by TCP, to hosts that are named"
            yield Finding(("interfaces", index, "used_by"), message)
        for place, host in enumerate(interface.hosts):
            if host not in product.vendor.hosts:
                near = Nearest(host, product.vendor.hosts, otherwise="add it to [vendor] hosts")
                yield Finding((*at, place), f"{quote(host)} is not among vendor.hosts", near)


def open_doors_have_reasons(product: Product, _: Context) -> Iterator[Finding]:
    """A way in without authentication says why (draft-moore, 2.1 and 2.2.4)."""
    for index, interface in enumerate(product.interfaces):
        at: Path = ("interfaces", index)
        if interface.direction is not Direction.IN:
            continue
        if not interface.authentication and interface.unauthenticated_because is None:
            yield Finding(
                (*at, "authentication"),
                "an inbound interface without authentication",
                "name its authentication, or say why in unauthenticated_because",
            )


def secrets_are_not_guessable(product: Product, _: Context) -> Iterator[Finding]:
    """A generated secret has entropy enough; a chosen one is long and throttled."""
    for index, credential in enumerate(product.credentials):
        at: Path = ("credentials", index)
        if credential.origin is Origin.CHOSEN_BY_OWNER:
            if (credential.minimum_length or 0) < MIN_SECRET_LENGTH:
                message = f"a chosen secret has at least {MIN_SECRET_LENGTH} characters"
                yield Finding((*at, "minimum_length"), message)
            if not credential.measures:
                message = "a chosen secret needs a measure against guessing"
                yield Finding((*at, "measures"), message)
        elif (credential.entropy_bits or 0) < MIN_ENTROPY_BITS:
            given = "none stated" if credential.entropy_bits is None else credential.entropy_bits
            message = f"at least {MIN_ENTROPY_BITS} bits of entropy, not {given}"
            yield Finding((*at, "entropy_bits"), message)


def credentials_are_not_shared(product: Product, _: Context) -> Iterator[Finding]:
    """No credential opens more than one device (draft-moore, 2.2.5)."""
    for index, credential in enumerate(product.credentials):
        if credential.uniqueness is Uniqueness.SHARED:
            hint = "let each device make its own"
            message = "a credential shared between devices"
            yield Finding(("credentials", index, "uniqueness"), message, hint)
