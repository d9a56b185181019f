"""What a role gives up before it serves.

Owns the policy about what is missing: a mechanism that the kernel lacks stops the
start, unless the product's design file carries a written rationale for it (draft-moore,
2.6.1, made executable). Never gives anything back, and never runs after a thread was started
(Landlock and capabilities hold for the calling thread and its children only).
"""

import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from limpet.device.confine import _landlock
from limpet.device.confine._allowed import COMPARTMENTS, Compartment
from limpet.device.confine._landlock import READ, FileGrant, Ports
from limpet.device.confine._networks import held_networks, refuse_networks
from limpet.device.confine._probe import missing_mechanisms
from limpet.device.confine._profiles import (
    DEVICES,
    DNS_PORT,
    NAMES,
    NETWORKED,
    PROFILES,
    SYSTEM,
    Profile,
    file_grants,
    places_of,
)
from limpet.device.confine._steps import MECHANISMS, take_steps
from limpet.device.confine._tidying import return_memory
from limpet.device.enclosure import USER_IDS
from limpet.device.link.messages import Confinement
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.errors import Misuse, Rejected

__all__ = [
    "COMPARTMENTS",
    "DEVICES",
    "MECHANISMS",
    "NAMES",
    "NETWORKED",
    "PROFILES",
    "READ",
    "SYSTEM",
    "Profile",
    "confine",
    "confine_to_open_files",
    "confine_to_ports",
    "file_grants",
    "held_networks",
    "missing_mechanisms",
    "places_of",
    "refuse_networks",
    "return_memory",
    "verify_confinement",
]


def confine(role: Role, start: Start, *, proxy_port: int | None = None) -> tuple[Confinement, ...]:
    """Confine this process to the profile of `role`; what is now in force.

    `proxy_port` is that of the owner's proxy, and reached too.
    Raises `Rejected("not-confined")` if a mechanism is missing for which the slot's product.toml
    carries no rationale, or if the device lies where every role may read; `Misuse` if a thread
    was started before.
    """
    if threading.active_count() > 1 or len(os.listdir("/proc/self/task")) > 1:
        raise Misuse(f"{role.value} started a thread before it was confined")
    return_memory()
    profile = PROFILES[role]
    grants = file_grants(start)
    _verify_place(start.root, grants)
    ports = profile.ports(start)
    if proxy_port is not None and ports.connect is not None:
        ports = replace(ports, connect=tuple(sorted({*ports.connect, proxy_port})))
    found = take_steps(profile.compartment(start), profile.limits, grants, ports)
    return _verified((*_entered(start), *found), start)


def confine_to_open_files(start: Start) -> tuple[Confinement, ...]:
    """Confine a helper process of a role to the files that it holds open: no port, and no path
    but that of the design file, which says what may be missing.

    To be called right after the fork, while it has one thread. Raises as `confine`.
    """
    profile = PROFILES[start.role]
    grants = (FileGrant(_design_file(start), READ),)
    return _verified(take_steps(Compartment.GUARD, profile.limits, grants, Ports()), start)


def confine_to_ports(start: Start, ports: Sequence[int]) -> tuple[Confinement, ...]:
    """Confine a helper process of a role to name look-ups and TCP connections to `ports`.

    To be called right after the fork, while it has one thread. Raises as `confine`.
    """
    profile = PROFILES[start.role]
    paths = (_design_file(start), *map(Path, (*SYSTEM, *NAMES)))
    grants = tuple(FileGrant(path, READ) for path in paths)
    allowed = Ports(connect=tuple(sorted({*ports, DNS_PORT})))
    return _verified(take_steps(Compartment.DIALER, profile.limits, grants, allowed), start)


def verify_confinement(found: Sequence[Confinement], excused: frozenset[str]) -> None:
    """Raise `Rejected("not-confined")` unless each mechanism is in force or excused.

    Namespaces are reported and not required (docs/adr/0081).
    """
    required = [c for c in found if c.mechanism in MECHANISMS and _is_required(c)]
    missing = [c for c in required if not c.in_force and MECHANISMS[c.mechanism] not in excused]
    if missing:
        what = "; ".join(f"{c.mechanism}: {c.detail}" for c in missing)
        names = ", ".join(dict.fromkeys(MECHANISMS[c.mechanism] for c in missing))
        raise Rejected(
            "not-confined",
            f"this system cannot confine the process ({what})",
            hint="use a kernel that can, or argue in product.toml why it is borne: one"
            f" [[confinement_gaps]] with a rationale for each mechanism of: {names}",
        )


def _is_required(one: Confinement) -> bool:
    """Ids of their own only root can give, so they are not asked of an ordinary user's device
    (docs/adr/0080)."""
    return one.mechanism != USER_IDS or os.geteuid() == 0


def _entered(start: Start) -> tuple[Confinement, ...]:
    """What the launcher put this process into before it was loaded."""
    return tuple(
        Confinement(mechanism=one.mechanism, in_force=one.in_force, detail=one.detail)
        for one in start.entered
    )


def _verified(found: tuple[Confinement, ...], start: Start) -> tuple[Confinement, ...]:
    excused: frozenset[str] = frozenset()
    if not all(c.in_force for c in found):
        from limpet.product import load_product

        gaps = load_product(_design_file(start)).confinement_gaps
        excused = frozenset(gap.mechanism.value for gap in gaps)
    verify_confinement(found, excused)
    return found


def _design_file(start: Start) -> Path:
    # Imported late, because no role needs to read design files where nothing is missing, and the
    # package costs a process a megabyte.
    from limpet.product import PRODUCT_FILE

    return start.slot_path / PRODUCT_FILE


def _verify_place(root: Path, grants: Sequence[FileGrant]) -> None:
    """No rationale excuses a place that undoes Landlock: the device can be moved."""
    if _landlock.abi_version() == 0:
        return
    place = root.resolve()
    for grant in grants:
        if place.is_relative_to(grant.path.resolve()):
            raise Rejected(
                "not-confined",
                f"the device lies below {grant.path}, which every role may read",
                hint="move the device's directory to another place",
            )
