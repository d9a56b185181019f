"""Private namespaces (namespaces(7)) of the calling process.

Owns unshare(2). As root each namespace is made by right; an ordinary user makes a user
namespace first, in which it has that right, where the kernel permits it.
"""

import os
from pathlib import Path

from limpet.device.enclosure._calls import call

__all__ = ["IPC", "MOUNT", "NETWORK", "UTS", "become_namespace_root", "unshare"]

MOUNT, UTS, IPC, NETWORK, _USER = 0x20000, 0x4000000, 0x8000000, 0x40000000, 0x10000000
"""CLONE_NEW… (linux/sched.h)."""


def unshare(kind: int) -> None:
    """Leave the parent's namespace of this `kind`. Raises `OSError`."""
    call("unshare", kind)


def become_namespace_root() -> None:
    """Have every capability in a user namespace of this process alone, as the same user.

    To be called with one thread. Raises `OSError` where the kernel does not permit it.
    """
    user, group = os.getuid(), os.getgid()
    unshare(_USER)
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")  # user_namespaces(7): before gid_map
    (own / "uid_map").write_text(f"{user} {user} 1")
    (own / "gid_map").write_text(f"{group} {group} 1")
