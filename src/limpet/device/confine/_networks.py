"""What a process gives up before it loads code of others: the making of sockets of a network.

Owns which sockets those are, and the look at what a process holds all the same. The filter is
in force for whatever that code starts, too, and stays beneath the role's own filter.
"""

import os
import platform
import socket
import stat
from collections.abc import Iterator

from limpet.device.confine import _process, _seccomp

__all__ = ["held_networks", "refuse_networks"]

_UNIX, _NETLINK, _CAN, _BLUETOOTH = 1, 16, 29, 31  # linux/socket.h; not all in each Python
_OF_THE_MACHINE = (_UNIX, _NETLINK, _CAN, _BLUETOOTH)
"""Families of sockets without an Internet: of this machine, its buses and its hardware."""

_KINDS = {socket.SOCK_STREAM: "tcp port", socket.SOCK_DGRAM: "udp port"}


def refuse_networks() -> None:
    """From now on, nothing in this process or below it makes a socket of a network (EPERM).

    Raises `OSError` or `ValueError` where the system has no seccomp.
    """
    _process.forbid_new_privileges()
    _seccomp.enforce(_seccomp.build_without_networks(platform.machine(), _OF_THE_MACHINE))


def held_networks() -> tuple[str, ...]:
    """Sockets of a network that this process holds, in words: "tcp port 2323 (0.0.0.0)"."""
    return tuple(sorted(set(_held())))


def _held() -> Iterator[str]:
    for name in os.listdir("/proc/self/fd"):
        try:
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as one:
                if one.family not in _OF_THE_MACHINE:
                    yield _describe(one)
        except OSError:  # the directory's own descriptor, closed by now
            continue


def _describe(one: socket.socket) -> str:
    kind = _KINDS.get(one.type)
    if kind is None or one.family not in (socket.AF_INET, socket.AF_INET6):
        return f"a socket of family {int(one.family)}, type {int(one.type)}"
    address, port = one.getsockname()[:2]
    return f"{kind} {port} ({address})"
