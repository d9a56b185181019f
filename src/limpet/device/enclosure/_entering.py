"""The order in which a new process is put into its enclosure.

Owns that order and the names of what it tells. Decides nothing about what is missing: that
is in the answer, and `limpet.device.confine` judges it.
"""

import contextlib
import os
from collections.abc import Callable

import msgspec

from limpet.device.enclosure import _namespaces as n
from limpet.device.enclosure._capabilities import (
    Capability,
    empty_bounding_set,
    forbid_new_privileges,
    keep_over_change,
    set_own,
)
from limpet.device.enclosure._user import User
from limpet.device.enclosure._view import Place, take_view

__all__ = ["MECHANISMS", "USER_IDS", "Enclosure", "Entered", "enter"]

USER_IDS = "user-id"

MECHANISMS = (USER_IDS, "mount-namespace", "network-namespace", "ipc-namespace", "uts-namespace")
"""What is told of each role, in this order; `network-namespace` of those without network."""

DETAIL_CHARACTERS = 1000


class Enclosure(msgspec.Struct, frozen=True, kw_only=True):
    """What a new process is put into."""

    user: User | None = None  # None: that of whoever started the device
    groups: tuple[int, ...] = ()  # of a device file that the role needs
    low_port: bool = False  # keeps CAP_NET_BIND_SERVICE until it is confined
    network: bool = True  # whether it keeps the machine's network
    places: tuple[Place, ...] = ()  # what it sees of the file system


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """One mechanism, and whether the process is in it."""

    mechanism: str
    in_force: bool
    detail: str = ""


def enter(wanted: Enclosure) -> tuple[Entered, ...]:
    """Put this process into the enclosure, for good. Never raises for what is missing.

    To be called with one thread, before anything of the role is loaded.
    """
    found = _namespaces(wanted)
    forbid_new_privileges()
    with contextlib.suppress(OSError):
        empty_bounding_set()
    if wanted.user is None:
        why = "not started as root" if os.getuid() else "root may take no other user id here"
        detail = f"{why}: every role runs as user {os.getuid()}"
        ids = Entered(mechanism=USER_IDS, in_force=False, detail=detail)
        set_own(())
    else:
        ids = _attempt(USER_IDS, lambda: _take_user(wanted))
    return ids, *found


def _take_user(wanted: Enclosure) -> str:
    """Become the user of the enclosure, in no other group. Raises `OSError`."""
    user = wanted.user
    if user is None:
        raise OSError("there is no user to become")
    keep_over_change(wanted.low_port)
    os.setgroups(list(wanted.groups))
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    set_own((Capability.NET_BIND_SERVICE,) if wanted.low_port else ())
    more = f", and {', '.join(map(str, wanted.groups))}" if wanted.groups else ""
    return f"user {user.uid}, group {user.gid}{more}"


def _namespaces(wanted: Enclosure) -> tuple[Entered, ...]:
    kinds: list[tuple[str, Callable[[], str]]] = [
        ("ipc-namespace", lambda: _own(n.IPC)),
        ("uts-namespace", lambda: _own(n.UTS)),
    ]
    if not wanted.network:
        kinds.insert(0, ("network-namespace", lambda: _own(n.NETWORK, "no interface is up")))
    if wanted.places:
        kinds.insert(0, ("mount-namespace", lambda: _view(wanted.places)))
    if os.geteuid() != 0:
        try:
            n.become_namespace_root()
        except OSError as error:
            detail = f"no user namespace: {error.strerror or error}"
            return tuple(Entered(mechanism=m, in_force=False, detail=detail) for m, _ in kinds)
    # The view comes last: it takes /proc and with it what the others might need.
    taken = [_attempt(mechanism, step) for mechanism, step in reversed(kinds)]
    return tuple(reversed(taken))


def _own(kind: int, detail: str = "private") -> str:
    n.unshare(kind)
    return detail


def _view(places: tuple[Place, ...]) -> str:
    n.unshare(n.MOUNT)
    return take_view(places)


def _attempt(mechanism: str, step: Callable[[], str]) -> Entered:
    try:
        return Entered(mechanism=mechanism, in_force=True, detail=step()[:DETAIL_CHARACTERS])
    except OSError as error:
        detail = str(error.strerror or error)[:DETAIL_CHARACTERS]
        return Entered(mechanism=mechanism, in_force=False, detail=detail)
