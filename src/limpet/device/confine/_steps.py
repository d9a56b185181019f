"""The mechanisms of confinement, in the order in which a process takes them.

Owns that order and the names of the mechanisms: umask, limits, no-new-privileges,
capabilities, not-dumpable, Landlock, seccomp, executable memory. Each step still needs what
the next takes away. Decides nothing about a mechanism that is missing.
"""

import os
from collections.abc import Callable, Mapping, Sequence

from limpet.device.confine import _landlock, _late, _memory, _process, _seccomp
from limpet.device.confine._allowed import Compartment
from limpet.device.confine._landlock import FileGrant, Ports
from limpet.device.link.messages import Confinement

__all__ = ["MECHANISMS", "take_steps"]

MECHANISMS = {
    "user-id": "user-id",  # taken before, by limpet.device.enclosure
    "resource-limits": "resource-limits",
    "no-new-privileges": "no-new-privileges",
    "capabilities": "no-new-privileges",
    "not-dumpable": "no-new-privileges",
    "landlock": "landlock",
    "landlock-network": "landlock-network",
    "landlock-signals": "landlock-signals",
    "seccomp": "seccomp",
    "memory-deny-write-execute": "memory-deny-write-execute",
}
"""Every mechanism, and the name under which a product's design file may excuse it."""

_PORTS_ABI, _SCOPES_ABI = 4, 6  # the versions of Landlock (landlock(7)) that brought them

DETAIL_CHARACTERS = 1000


def take_steps(
    compartment: Compartment,
    limits: Mapping[int, int],
    grants: Sequence[FileGrant],
    ports: Ports,
) -> tuple[Confinement, ...]:
    """Give up everything but what is given here, for good; which of it the system enforces.

    The process is called by its compartment from then on (ps(1), /proc/PID/comm).

    Never raises for a mechanism that is missing: that is in the answer.
    """
    os.umask(0o077)
    _late.load_late(compartment)
    _process.name(compartment.value)
    refuses_gain = _memory.refuse_gain()
    abi = _landlock.abi_version()
    steps: tuple[tuple[str, Callable[[], str]], ...] = (
        ("resource-limits", lambda: _process.limit(limits)),
        ("no-new-privileges", _process.forbid_new_privileges),
        ("capabilities", _process.drop_capabilities),
        ("not-dumpable", _process.forbid_dumping),
        # One rule set: the three lines say which parts of it this kernel knows.
        ("landlock", lambda: _landlock.restrict(abi, grants, ports)),
        (
            "landlock-network",
            lambda: _landlock.require(abi, _PORTS_ABI, "TCP rules", ports.describe()),
        ),
        (
            "landlock-signals",
            lambda: _landlock.require(abi, _SCOPES_ABI, "scopes", "own domain only"),
        ),
        ("seccomp", lambda: _seccomp.install(compartment)),
        ("memory-deny-write-execute", lambda: _memory.verify_refused(by_kernel=refuses_gain)),
    )
    return tuple(_attempt(mechanism, step) for mechanism, step in steps)


def _attempt(mechanism: str, step: Callable[[], str]) -> Confinement:
    try:
        detail = step()
    except (OSError, ValueError) as error:
        return Confinement(
            mechanism=mechanism, in_force=False, detail=str(error)[:DETAIL_CHARACTERS]
        )
    return Confinement(mechanism=mechanism, in_force=True, detail=detail[:DETAIL_CHARACTERS])
