"""A network of the test's own: two anonymous namespaces, a cable, and thousands of addresses.

Owns the namespaces. They have no name and no file: the kernel removes them, cable and
all, when the last process in them and this object are gone, however the test ended. The
machine's own network is not touched. Needs root.
"""

import contextlib
import ctypes
import ipaddress
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "DEVICE_V4",
    "DEVICE_V6",
    "Network",
    "NoNetwork",
    "inside",
    "network",
    "source_v4",
    "source_v6",
]

DEVICE_V4, ATTACKER_V4 = "10.99.0.1", "10.99.0.2"
DEVICE_V6, ATTACKER_V6 = "fd99::1", "fd99::2"
SOURCES_V4 = ipaddress.ip_network("10.77.0.0/16")
SOURCES_V6 = ipaddress.ip_network("fd77::/32")  # 2**32 networks of 64 bits
_IPV6 = Path("/proc/sys/net/ipv6")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def source_v4(number: int) -> str:
    """The attacker's IPv4 address of that number, from 0."""
    return str(SOURCES_V4[number + 1])


def source_v6(number: int) -> str:
    """An address in the attacker's /64 of that number, from 0."""
    return str(ipaddress.IPv6Address(int(SOURCES_V6.network_address) + (number << 64) + 1 + number))


class Network:
    """`device` and `attacker` are descriptors of namespaces; the device sees 10.99.0.1, fd99::1."""

    def __init__(self) -> None:
        self.device, self.attacker = _new_namespace(), _new_namespace()
        for namespace in (self.device, self.attacker):
            with inside(namespace):
                (_IPV6 / "conf" / "default" / "accept_dad").write_text("0")  # or it takes seconds
        with inside(self.device):
            _ip("link add cable type veth peer name cable", netns=self.attacker)
            _up(DEVICE_V4, DEVICE_V6)
            _ip(f"route add {SOURCES_V4} via {ATTACKER_V4}")
            _ip(f"-6 route add {SOURCES_V6} via {ATTACKER_V6}")
        with inside(self.attacker):
            _up(ATTACKER_V4, ATTACKER_V6)
            # Every address of these is the attacker's own: it may bind to any of them.
            _ip(f"route add local {SOURCES_V4} dev lo")
            _ip(f"-6 route add local {SOURCES_V6} dev lo")
            (_IPV6 / "ip_nonlocal_bind").write_text("1")

    def close(self) -> None:
        """Let go; the kernel removes what nobody uses."""
        os.close(self.device)
        os.close(self.attacker)


class NoNetwork(Exception):
    """This machine gives none; the message says why."""


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """A network until the end of the block. Raises `NoNetwork` where it cannot be made."""
    if os.geteuid() != 0:
        raise NoNetwork("only root makes network namespaces")
    if shutil.which("ip") is None:
        raise NoNetwork("ip (Debian: iproute2) is not installed")
    made = Network()
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def inside(namespace: int) -> Iterator[None]:
    """This thread, and the threads and processes that it starts, live in `namespace`."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(namespace)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot enter the network namespace")


def _new_namespace() -> int:
    """Made by a thread that ends at once, so that no other is moved."""
    found: list[int] = []

    def leave() -> None:
        if _libc.unshare(_CLONE_NEWNET) == 0:
            found.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    if not found:
        raise NoNetwork("this machine gives no network namespace")
    return found[0]


def _up(v4: str, v6: str) -> None:
    _ip("link set lo up")
    _ip(f"addr add {v4}/30 dev cable")
    _ip(f"-6 addr add {v6}/64 dev cable nodad")
    _ip("link set cable up")


def _ip(words: str, *, netns: int | None = None) -> None:
    more = [] if netns is None else ["netns", f"/proc/self/fd/{netns}"]
    pass_fds = () if netns is None else (netns,)
    command = ["ip", *words.split(), *more]
    done = subprocess.run(command, capture_output=True, text=True, pass_fds=pass_fds)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
