"""Capabilities (capabilities(7)): what boot and supervisor keep of root, and what a role may.

Owns the list. What is not in it is gone from every set, the bounding set included, so that
no process below can ever have it.
"""

import ctypes
import enum
import struct
from collections.abc import Iterable

from limpet.device.enclosure._calls import call, prctl

__all__ = [
    "ATTENDANT",
    "SUPERVISOR",
    "Capability",
    "empty_bounding_set",
    "forbid_new_privileges",
    "keep_capabilities",
    "keep_over_change",
    "permitted",
    "set_own",
]

_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 8, 47, 4
_PR_SET_NO_NEW_PRIVS = 38
_VERSION_3 = 0x20080522  # linux/capability.h
_LAST = 63  # the version's mask holds no more


class Capability(enum.IntEnum):
    """The capabilities that anybody of a device ever has (linux/capability.h)."""

    CHOWN = 0
    DAC_OVERRIDE = 1
    FOWNER = 3
    KILL = 5
    SETGID = 6
    SETUID = 7
    SETPCAP = 8
    NET_BIND_SERVICE = 10
    SYS_ADMIN = 21


SUPERVISOR = frozenset(
    {
        Capability.CHOWN,  # roles' directories, and new firmware, get their owner
        Capability.DAC_OVERRIDE,  # a factory reset erases what belongs to roles
        Capability.FOWNER,  # and sets the modes of their directories
        Capability.KILL,  # a role that is silent is ended
        Capability.SETGID,  # roles get ids of their own
        Capability.SETUID,
        Capability.SETPCAP,  # and an empty bounding set
        Capability.NET_BIND_SERVICE,  # handed to the gateway if it listens below port 1024
        Capability.SYS_ADMIN,  # unshare(2) and mount(2), for roles' namespaces
    }
)
"""What boot and supervisor keep when they are started as root."""


ATTENDANT = frozenset(
    {Capability.CHOWN, Capability.DAC_OVERRIDE, Capability.FOWNER, Capability.KILL}
)
"""What they keep where a service manager starts the roles."""


def keep_capabilities(kept: Iterable[Capability]) -> None:
    """Give up every capability but those of `kept` that this process has; an ordinary user's
    process has none."""
    wanted, had = set(kept), permitted()
    if Capability.SETPCAP in had:
        for number in range(_LAST + 1):
            if number not in wanted and _is_bounded(number):
                prctl(_PR_CAPBSET_DROP, number)
    set_own(wanted & had)


def forbid_new_privileges() -> None:
    """No program that is started from here on gains anything (no_new_privs)."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def empty_bounding_set() -> None:
    """Nothing that this process starts ever gains a capability. Needs CAP_SETPCAP."""
    for number in range(_LAST + 1):
        if _is_bounded(number):
            prctl(_PR_CAPBSET_DROP, number)


def keep_over_change(wanted: bool) -> None:
    """Whether the permitted set outlives the change to another user id (PR_SET_KEEPCAPS)."""
    prctl(_PR_SET_KEEPCAPS, int(wanted))


def set_own(kept: Iterable[int]) -> None:
    """Effective and permitted are `kept`; inheritable and ambient are empty."""
    mask = sum(1 << number for number in kept)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("Ii", _VERSION_3, 0)
    call("capset", header, struct.pack("6I", low, low, 0, high, high, 0))


def permitted() -> set[int]:
    """The capabilities that this process may use."""
    header, data = struct.pack("Ii", _VERSION_3, 0), ctypes.create_string_buffer(24)
    call("capget", header, data)
    _, low, _, _, high, _ = struct.unpack("6I", data.raw)
    mask = low | high << 32
    return {number for number in range(_LAST + 1) if mask >> number & 1}


def _is_bounded(number: int) -> bool:
    try:
        return prctl(_PR_CAPBSET_READ, number) == 1
    except OSError:
        return False  # beyond the last one that this kernel has
