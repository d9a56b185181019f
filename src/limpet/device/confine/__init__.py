"""What a role gives up before it serves.

Owns the order in which a process confines itself and the policy about what is
missing: a mechanism that the kernel lacks stops the start, unless the product's
design file carries a written rationale for it (R2.6.1b made executable). Never
gives anything back, and never runs after a thread was started (Landlock and
capabilities hold for the calling thread and its children only).

The order: umask, limits, no-new-privileges, capabilities, not-dumpable, Landlock,
seccomp. Each step still needs what the next takes away.
"""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from limpet.device.confine import _landlock, _process, _seccomp
from limpet.device.confine._landlock import FileGrant, Ports
from limpet.device.confine._profiles import PROFILES, file_grants
from limpet.device.confine._seccomp import Sockets
from limpet.device.link.messages import Confinement
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.errors import Misuse, Rejected
from limpet.product import PRODUCT_FILE, load_product

__all__ = ["MECHANISMS", "confine", "confine_to_open_files", "verify_confinement"]

MECHANISMS = {
    "resource-limits": "resource-limits",
    "no-new-privileges": "no-new-privileges",
    "capabilities": "no-new-privileges",
    "not-dumpable": "no-new-privileges",
    "landlock": "landlock",
    "landlock-network": "landlock",
    "landlock-signals": "landlock",
    "seccomp": "seccomp",
}
"""Every mechanism, and the name under which a product's design file may excuse it."""


def confine(role: Role, start: Start) -> tuple[Confinement, ...]:
    """Confine this process to the profile of `role`; what is now in force.

    Raises `Rejected("not-confined")` if a mechanism is missing for which the slot's
    product.toml carries no rationale, `Misuse` if a thread was started before.
    """
    if threading.active_count() > 1 or len(os.listdir("/proc/self/task")) > 1:
        raise Misuse(f"{role.value} started a thread before it was confined")
    profile = PROFILES[role]
    return _take(profile.limits, profile.sockets, file_grants(start), profile.ports(start), start)


def confine_to_open_files(start: Start) -> tuple[Confinement, ...]:
    """Confine a helper process of a role to the files that it holds open: no path, no port.

    To be called right after the fork, while it has one thread. Raises as `confine`.
    """
    return _take(PROFILES[start.role].limits, Sockets.NONE, (), Ports(), start)


def _take(
    limits: Mapping[int, int],
    sockets: Sockets,
    grants: Sequence[FileGrant],
    ports: Ports,
    start: Start,
) -> tuple[Confinement, ...]:
    os.umask(0o077)
    steps = _steps(limits, sockets, grants, ports, start)
    found = tuple(_attempt(mechanism, step) for mechanism, step in steps)
    verify_confinement(found, _excused(start.slot_path / PRODUCT_FILE, found))
    return found


def verify_confinement(found: Sequence[Confinement], excused: frozenset[str]) -> None:
    """Raise `Rejected("not-confined")` unless each mechanism is in force or excused."""
    missing = [c for c in found if not c.in_force and MECHANISMS[c.mechanism] not in excused]
    if missing:
        what = "; ".join(f"{c.mechanism}: {c.detail}" for c in missing)
        raise Rejected(
            "not-confined",
            f"this system cannot confine the process ({what})",
            hint="use a kernel that can, or argue it in product.toml under [[confinement_gaps]]",
        )


def _steps(
    limits: Mapping[int, int],
    sockets: Sockets,
    grants: Sequence[FileGrant],
    ports: Ports,
    start: Start,
) -> list[tuple[str, Callable[[], str]]]:
    abi = _landlock.abi_version()
    return [
        ("resource-limits", lambda: _process.limit(limits)),
        ("no-new-privileges", _process.forbid_new_privileges),
        ("capabilities", _process.drop_capabilities),
        ("not-dumpable", _process.forbid_dumping),
        # One rule set: the three lines say which parts of it this kernel knows.
        ("landlock", lambda: _restrict(start, abi, grants, ports)),
        ("landlock-network", lambda: _landlock.require(abi, 4, "TCP rules", ports.describe())),
        ("landlock-signals", lambda: _landlock.require(abi, 6, "scopes", "own domain only")),
        ("seccomp", lambda: _seccomp.install(sockets)),
    ]


def _restrict(
    start: Start, abi: int, grants: Sequence[FileGrant], ports: Ports
) -> str:
    """The rule set, unless a grant would open every role's directory at once."""
    root = start.root.resolve()
    for grant in grants:
        if root.is_relative_to(grant.path.resolve()):
            raise ValueError(f"the device lies below {grant.path}, which every role may read")
    return _landlock.restrict(abi, grants, ports)


def _attempt(mechanism: str, step: Callable[[], str]) -> Confinement:
    try:
        return Confinement(mechanism=mechanism, in_force=True, detail=step()[:1000])
    except (OSError, ValueError) as error:
        return Confinement(mechanism=mechanism, in_force=False, detail=str(error)[:1000])


def _excused(product_file: Path, found: Sequence[Confinement]) -> frozenset[str]:
    if all(c.in_force for c in found):
        return frozenset()
    gaps = load_product(product_file).confinement_gaps
    return frozenset(gap.mechanism.value for gap in gaps)
