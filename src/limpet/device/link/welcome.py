"""What the supervisor hands to a role that a service manager started.

Owns the one message on the supervisor's socket `run/attach.sock`. Its descriptors travel
beside it (SCM_RIGHTS, unix(7)), in the order of `links`.
"""

import os
from collections.abc import Mapping
from typing import Literal

import msgspec

__all__ = [
    "DOOR",
    "HANDOVER",
    "NAMESPACES",
    "STDERR",
    "WELCOME_BYTES",
    "Welcome",
    "own_namespaces",
]

DOOR = "attach.sock"
WELCOME_BYTES = 16 << 10
HANDOVER, STDERR = "handover", "stderr"

NAMESPACES: Mapping[str, str] = {
    "mount-namespace": "mnt",
    "network-namespace": "net",
    "ipc-namespace": "ipc",
    "uts-namespace": "uts",
}
"""Mechanisms by the kernel's name for them in /proc/self/ns."""


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a role starts, and which descriptor is which."""

    role: str
    slot: Literal["a", "b"]
    links: tuple[str, ...]  # peers' names, HANDOVER and STDERR
    network: bool  # whether the role needs the machine's network
    namespaces: dict[str, int]  # the supervisor's own, to compare with
    options: dict[str, tuple[str, ...]]


def own_namespaces() -> dict[str, int]:
    """The numbers of this process's namespaces, by their kind."""
    return {kind: os.stat(f"/proc/self/ns/{kind}").st_ino for kind in NAMESPACES.values()}
