"""Limits, privileges and capabilities of the calling process, by setrlimit(2) and prctl(2).

Each function does one step, says what is now in force, and raises `OSError` with
the reason where the system refuses.
"""

import ctypes
import os
import resource
import struct
from collections.abc import Mapping

__all__ = ["drop_capabilities", "forbid_dumping", "forbid_new_privileges", "limit", "name", "prctl"]

# linux/prctl.h
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h
_LAST_CAPABILITY = 63  # the version's mask holds no more
_EINVAL = 22

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, *arguments: int) -> int:
    """prctl(2). Raises `OSError`."""
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    result = int(_libc.prctl(ctypes.c_int(option), *padded))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")
    return result


def name(text: str) -> None:
    """How the process is called in ps(1), at most 15 bytes."""
    buffer = ctypes.create_string_buffer(text.encode("ascii"))
    prctl(_PR_SET_NAME, ctypes.addressof(buffer))


def limit(limits: Mapping[int, int]) -> str:
    """Set soft and hard limits; never raises one above what it already is."""
    for kind, wanted in limits.items():
        _, hard = resource.getrlimit(kind)
        bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (bound, bound))
    return f"{len(limits)} limits"


def forbid_new_privileges() -> str:
    """No program that this process might start gains anything (no_new_privs)."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    return "set"


def forbid_dumping() -> str:
    """No core file, and no other process of this user may look inside (not dumpable)."""
    prctl(_PR_SET_DUMPABLE, 0)
    return "set"


def drop_capabilities() -> str:
    """Empty all five sets of capabilities(7); the bounding set only where there is the right."""
    bounded = False
    for number in range(_LAST_CAPABILITY + 1):
        try:
            if prctl(_PR_CAPBSET_READ, number) == 0:
                continue
            prctl(_PR_CAPBSET_DROP, number)
        except PermissionError:
            bounded = True  # without CAP_SETPCAP nothing is dropped from it
            break
        except OSError as error:
            if error.errno != _EINVAL:  # beyond the last one that this kernel has
                raise
            break
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    if _libc.capset(header, struct.pack("6I", 0, 0, 0, 0, 0, 0)) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")
    return "effective, permitted and inheritable sets empty" if bounded else "all sets empty"
