"""What each process of this firmware may do, read from the tables that it is held by.

Owns the translation of those tables into a record for readers (`limpet.wire.rights`). Holds no
right of its own to say: what is not in a table is not in the record. Made at the build, by the
firmware's own code; the same tree gives the same bytes.
"""

from collections.abc import Iterator
from pathlib import Path

from limpet.device.confine import (
    COMPARTMENTS,
    DEVICES,
    MECHANISMS,
    NAMES,
    NETWORKED,
    PROFILES,
    READ,
    SYSTEM,
    file_grants,
)
from limpet.device.link.permits import PERMITS, Role
from limpet.device.link.start import Start
from limpet.device.units import TASKS
from limpet.firmware.description import FirmwareDescription
from limpet.product import (
    Authentication,
    Direction,
    Interface,
    Product,
    Transport,
    User,
    announces,
)
from limpet.wire.rights import Asking, Network, ProcessRights, Rights, SystemCalls

__all__ = ["describe_rights"]

_ROOT = Path("/device")  # stands for the device's directory, wherever that is
_OWN_TASKS = {Role.SUPERVISOR: "starts the others, ties them, watches them, ends them"}
_COMMON = {*map(Path, SYSTEM), *map(Path, DEVICES)}


def describe_rights(product: Product, description: FirmwareDescription) -> Rights:
    """The record of the firmware that `description` names."""
    roles = [role for role in Role if role is not Role.ANNOUNCER or announces(product)]
    return Rights(
        model=description.model,
        version=description.version,
        mechanisms=tuple(dict.fromkeys(MECHANISMS.values())),
        processes=tuple(_process(role, roles, product) for role in roles),
        handles={one.id: role.value for one in product.interfaces if (role := _handler(one))},
    )


def _process(role: Role, roles: list[Role], product: Product) -> ProcessRights:
    asks = tuple(
        Asking(role=other.value, requests=tuple(sorted(one.__name__ for one in requests)))
        for other in roles
        if (requests := PERMITS.get((role, other)))
    )
    if role not in PROFILES:
        return ProcessRights(role=role.value, task=_OWN_TASKS[role], asks=asks, network="none")
    start = _start(role, product)
    profile = PROFILES[role]
    ports = profile.ports(start)
    return ProcessRights(
        role=role.value,
        task=TASKS[role],
        asks=asks,
        network=_network(role, product),
        listens=ports.bind,
        connects=ports.connect or (),
        reads=tuple(_places(start, reading=True)),
        writes=tuple(_places(start, reading=False)),
        memory_bytes=profile.memory_bytes,
        file_bytes=profile.file_bytes,
        open_files=profile.open_files,
        system_calls=tuple(
            SystemCalls(why=grant.why, calls=tuple(dict.fromkeys(one.name for one in grant.calls)))
            for grant in COMPARTMENTS[profile.compartment(start)]
        ),
    )


def _start(role: Role, product: Product) -> Start:
    """As boot starts the role of this product; the port is the first one that it declares."""
    ports = [one.port for one in product.interfaces if _handler(one) is Role.GATEWAY and one.port]
    listen = {"listen": (f"0.0.0.0:{ports[0]}",)} if ports else {}
    return Start(role=role, root=_ROOT, slot="a", options=listen)


def _handler(interface: Interface) -> Role | None:
    """The process that an interface ends in; None for what a person reads or touches."""
    if interface.transport is Transport.PHYSICAL:
        by_hand = Authentication.PHYSICAL_PRESENCE in interface.authentication
        return None if by_hand else Role.APP
    if interface.direction is Direction.OUT:
        return Role.APP if interface.used_by is User.APP else Role.UPDATER
    return Role.GATEWAY if interface.transport is Transport.TCP else Role.ANNOUNCER


def _network(role: Role, product: Product) -> Network:
    if role is Role.APP:
        outward = [one for one in product.interfaces if _handler(one) is Role.APP and one.port]
        return "calls" if outward else "none"
    if role not in NETWORKED:
        return "none"
    if role is Role.ANNOUNCER:
        return "link"
    return "accepts" if role is Role.GATEWAY else "calls"


def _places(start: Start, *, reading: bool) -> Iterator[str]:
    """What is this role's beside the interpreter and the system's libraries, by name."""
    named = {start.slot_path: "the firmware that runs", start.private: "its own directory"}
    named |= {start.root / "identity.json": "the device's public identity"}
    named |= {start.root / "run": "the supervisor's status"}
    named |= {Path(place): place for place in NAMES}
    seen = set()
    for grant in file_grants(start):
        known = named.get(grant.path) or (str(grant.path) if _is_special(grant.path) else "")
        fits = grant.path not in _COMMON and (grant.rights == READ) is reading
        if known and fits and known not in seen:
            seen.add(known)
            yield known


def _is_special(path: Path) -> bool:
    """A file of the kernel's, not of this process and not of where Python lies."""
    return str(path).startswith(("/sys/", "/dev/"))
