"""The networks of this machine, and sockets that speak multicast DNS on them.

Owns the enumeration of interfaces (without netlink, which the role may not use) and the two
sockets, which are opened and bound before the confinement and never again: whoever takes the
process has these, can open no other, and cannot send through a router with the one of IPv4.
Decides nothing about an answer.
"""

import array
import contextlib
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from limpet.device.announcer.messages import MESSAGE_BYTES
from limpet.device.announcer.responder import PORT, Heard, Link, Said
from limpet.errors import Unavailable

__all__ = ["Voice", "open_voices", "read_links"]

GROUP_4, GROUP_6 = "224.0.0.251", "ff02::fb"  # RFC 6762, 3
HOPS = 255  # RFC 6762, 11
MAX_INTERFACES = 16
MAX_WAITING = 4096  # datagrams in one socket
# linux/sockios.h and netdevice(7)
_CONF, _FLAGS, _NETMASK, _INDEX = 0x8912, 0x8913, 0x891B, 0x8933
_REQUEST_BYTES = 40
_UP, _LOOPBACK, _POINT_TO_POINT, _RUNNING, _MULTICAST = 0x1, 0x8, 0x10, 0x40, 0x1000
_USABLE = _UP | _RUNNING | _MULTICAST
# linux/in.h, linux/in6.h: Python does not name them
_IP_PKTINFO, _IP_MULTICAST_ALL = 8, 49
_IPV6_MULTICAST_ALL = 29
_TENTATIVE = 0x40  # linux/if_addr.h: not ours before the kernel has asked around
_TABLE_6 = Path("/proc/self/net/if_inet6")
_INFO_4, _INFO_6 = struct.Struct("=i4s4s"), struct.Struct("=16si")

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def read_links(listens_on: str, voices: Mapping[int, "Voice"]) -> list[Link]:
    """The links on which a server that listens on `listens_on` can be reached, at most 16.

    An unspecified address (0.0.0.0, ::) means all of its family. A loopback interface is no link.
    """
    try:
        wanted = ipaddress.ip_address(listens_on)
    except ValueError:
        return []
    voice = voices.get(wanted.version)
    if voice is None:
        return []
    found: dict[int, list[Interface]] = {}
    known = _interfaces_6(voice) if wanted.version == 6 else _interfaces_4(voice)
    for index, interface in known:
        if wanted.is_unspecified or interface.ip == wanted:
            found.setdefault(index, []).append(interface)
    links = [Link(index, tuple(addresses)) for index, addresses in sorted(found.items())]
    return links[:MAX_INTERFACES]


def _interfaces_4(voice: "Voice") -> list[tuple[int, Interface]]:
    """Index and address of each usable interface, by ioctl(2)."""
    found: list[tuple[int, Interface]] = []
    space = array.array("B", bytes(_REQUEST_BYTES * 64))
    address, _ = space.buffer_info()
    filled = fcntl.ioctl(voice, _CONF, struct.pack("iP", len(space), address))
    (length,) = struct.unpack_from("i", filled)
    for start in range(0, length, _REQUEST_BYTES):
        entry = space[start : start + _REQUEST_BYTES].tobytes()
        name, own = entry[:16], entry[20:24]
        with contextlib.suppress(OSError):  # it is gone meanwhile
            if not _is_usable(voice, name):
                continue
            mask = _ask(voice, _NETMASK, name)[20:24]
            (index,) = struct.unpack_from("i", _ask(voice, _INDEX, name), 16)
            written = f"{socket.inet_ntoa(own)}/{socket.inet_ntoa(mask)}"
            found.append((index, ipaddress.IPv4Interface(written)))
    return found


def _interfaces_6(voice: "Voice") -> list[tuple[int, Interface]]:
    """The same for IPv6, which the kernel tells in a file only (proc(5))."""
    try:
        lines = _TABLE_6.read_text("ascii").splitlines()
    except OSError:
        return []
    found: list[tuple[int, Interface]] = []
    for line in lines[:256]:
        address, index, prefix, _, flags, name = line.split()
        with contextlib.suppress(OSError):
            if _is_usable(voice, name.encode()) and not int(flags, 16) & _TENTATIVE:
                number = ipaddress.IPv6Address(int(address, 16))
                written = f"{number}/{int(prefix, 16)}"
                found.append((int(index, 16), ipaddress.IPv6Interface(written)))
    return found


def _is_usable(voice: "Voice", name: bytes) -> bool:
    (flags,) = struct.unpack_from("H", _ask(voice, _FLAGS, name), 16)
    return flags & _USABLE == _USABLE and not flags & (_LOOPBACK | _POINT_TO_POINT)


def _ask(voice: "Voice", request: int, name: bytes) -> bytes:
    return fcntl.ioctl(voice, request, name[:16].ljust(_REQUEST_BYTES, b"\0"))


def open_voices() -> tuple[dict[int, "Voice"], str]:
    """A voice for each IP version that this machine has; if there is none, why."""
    voices, reason = {}, ""
    for version in (4, 6):
        try:
            voices[version] = Voice(version)
        except OSError as error:
            reason = (error.strerror or "failed").lower()
    return voices, "" if voices else reason


class Voice:
    """One socket of one IP version. It is in a group only on the links that it follows."""

    def __init__(self, version: int) -> None:
        """Open and bind it. Raises `OSError`."""
        self._version = version
        self._links: set[int] = set()
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._prepare()
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For the event loop."""
        return self._socket.fileno()

    def close(self) -> None:
        """For good."""
        self._socket.close()

    def follow(self, links: Sequence[Link]) -> None:
        """Be in the group on these links and on no other. Raises `Unavailable`."""
        wanted = {link.index for link in links}
        for index in self._links - wanted:
            with contextlib.suppress(OSError):  # the interface is gone
                self._change(index, join=False)
        try:
            for index in wanted - self._links:
                self._change(index, join=True)
        except OSError as error:
            reason = (error.strerror or "failed").lower()
            raise Unavailable(f"cannot join the group of multicast DNS: {reason}") from error
        finally:
            self._links = wanted

    def forget_what_was_said(self) -> None:
        """Leave aside what came while nobody listened (at most what one socket holds)."""
        for _ in range(MAX_WAITING):
            try:
                self._socket.recv(1)
            except OSError:
                return

    def hear(self) -> Heard | None:
        """The next datagram; None if there is none, or it is not one for us.

        One that is longer than `MESSAGE_BYTES` comes cut off, and is no message then.
        """
        try:
            data, ancillary, _, sender = self._socket.recvmsg(MESSAGE_BYTES + 1, 128)
        except OSError:  # also the errors that somebody's ICMP message made
            return None
        for level, kind, content in ancillary:
            if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
                index, _, destination = _INFO_4.unpack_from(content)
                group = destination == socket.inet_aton(GROUP_4)
                return Heard(data, sender[0], sender[1], index, group)
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                destination, index = _INFO_6.unpack_from(content)
                group = destination == socket.inet_pton(socket.AF_INET6, GROUP_6)
                return Heard(data, sender[0].partition("%")[0], sender[1], index, group)
        return None

    def say(self, said: Said) -> None:
        """Send it, over its link and no other; what cannot be sent now is left unsaid."""
        ancillary: tuple[int, int, bytes]
        to: tuple[str, int] | tuple[str, int, int, int]
        if self._version == 4:
            info = _INFO_4.pack(said.index, b"\0" * 4, b"\0" * 4)
            ancillary = (socket.IPPROTO_IP, _IP_PKTINFO, info)
            to = (said.address or GROUP_4, said.port)
        else:
            info = _INFO_6.pack(b"\0" * 16, said.index)
            ancillary = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)
            to = (said.address or GROUP_6, said.port, 0, said.index)
        with contextlib.suppress(OSError):
            self._socket.sendmsg([said.data], [ancillary], socket.MSG_DONTWAIT, to)

    def _prepare(self) -> None:
        """Other programs of this machine may share the port (RFC 6762, 15.1)."""
        one = self._socket
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # The kernel too sends nothing through a router, should an answer ever be decided wrongly.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
        if self._version == 4:
            one.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            one.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, HOPS)
            one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOPS)
            one.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
            one.bind(("0.0.0.0", PORT))  # noqa: S104 - the group is heard by no other address
            return
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, HOPS)
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOPS)
        one.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
        one.bind(("::", PORT))

    def _change(self, index: int, *, join: bool) -> None:
        if self._version == 4:
            option = socket.IP_ADD_MEMBERSHIP if join else socket.IP_DROP_MEMBERSHIP
            request = socket.inet_aton(GROUP_4) + struct.pack("=4si", b"\0" * 4, index)
            self._socket.setsockopt(socket.IPPROTO_IP, option, request)
        else:
            option = socket.IPV6_JOIN_GROUP if join else socket.IPV6_LEAVE_GROUP
            request = socket.inet_pton(socket.AF_INET6, GROUP_6) + struct.pack("=i", index)
            self._socket.setsockopt(socket.IPPROTO_IPV6, option, request)
