"""The sockets of a host as /proc/net lists them (proc(5)), and probes of UDP ports.

Owns the parsing of /proc/net/{tcp,tcp6,udp,udp6} and the search for services that
answer a small datagram with a large one. Sends one datagram to each port.
"""

import ipaddress
import select
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limpet.audit.target import Endpoint, Target

__all__ = ["AMPLIFIERS", "Echo", "Socket", "parse_sockets", "probe_datagrams", "read_sockets"]

MAX_TABLE = 8 << 20
LISTEN, ESTABLISHED = 0x0A, 0x01
REPLY_SECONDS = 0.6

# Small questions that get large answers (RFC 8085, 3.1; US-CERT TA14-017A names the protocols).
AMPLIFIERS: Mapping[int, bytes] = {
    53: bytes.fromhex("1234010000010000000000000000ff0001"),  # DNS, ANY of the root
    123: bytes.fromhex("1700032a00000000"),  # NTP monlist
    161: bytes.fromhex(
        "302602010104067075626c6963a019020101020100020100300e300c06082b060102010101000500"
    ),
    1900: b"M-SEARCH * HTTP/1.1\r\nHOST:239.255.255.250:1900\r\n"
    b'MAN:"ssdp:discover"\r\nST:ssdp:all\r\n\r\n',
    5353: bytes.fromhex(
        "000000000001000000000000095f7365727669636573075f646e732d7364045f756470056c6f63616c00000c0001"
    ),
    5683: bytes.fromhex("40010001bb2e77656c6c2d6b6e6f776e04636f7265"),  # CoAP discovery
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Socket:
    """One Internet socket."""

    protocol: str  # tcp, tcp6, udp, udp6
    local: tuple[str, int]
    remote: tuple[str, int]
    state: int
    inode: int

    @property
    def is_listening(self) -> bool:
        """Whether strangers can send to it."""
        if self.protocol.startswith("tcp"):
            return self.state == LISTEN
        return self.remote[1] == 0

    @property
    def is_connected(self) -> bool:
        """Whether it is tied to a peer, from either side."""
        return not self.is_listening and self.remote[1] != 0


@dataclass(frozen=True, slots=True)
class Echo:
    """What came back for one datagram."""

    port: int
    sent: int  # bytes
    received: int  # bytes

    @property
    def factor(self) -> float:
        """How much a forged sender address would be worth."""
        return self.received / self.sent


def read_sockets(proc: Path) -> dict[int, Socket]:
    """Every Internet socket of this host, by inode."""
    found: dict[int, Socket] = {}
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        path = proc / "net" / protocol
        if path.exists():
            with path.open("rb") as file:
                text = file.read(MAX_TABLE).decode("ascii", "replace")
            found.update({one.inode: one for one in parse_sockets(protocol, text)})
    return found


def parse_sockets(protocol: str, text: str) -> tuple[Socket, ...]:
    """The sockets in one table of /proc/net."""
    sockets = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) < 10:
            continue
        sockets.append(
            Socket(
                protocol=protocol,
                local=_address(words[1]),
                remote=_address(words[2]),
                state=int(words[3], 16),
                inode=int(words[9]),
            )
        )
    return tuple(sockets)


def probe_datagrams(target: Target) -> tuple[Echo, ...]:
    """One datagram to each port of `AMPLIFIERS` and to the device's own port number."""
    endpoint = target.need(target.device, "device URL")
    return probe_ports(endpoint, {**AMPLIFIERS, endpoint.peer[1]: b"limpet-audit"})


def probe_ports(endpoint: Endpoint, questions: Mapping[int, bytes]) -> tuple[Echo, ...]:
    """One datagram to each port; all answers within `REPLY_SECONDS` are counted."""
    family, kind, _, _, address = socket.getaddrinfo(
        endpoint.peer[0], endpoint.peer[1], type=socket.SOCK_DGRAM
    )[0]
    received = dict.fromkeys(questions, 0)
    sockets: dict[socket.socket, int] = {}
    try:
        for port, question in questions.items():
            probe = socket.socket(family, kind)
            sockets[probe] = port
            probe.setblocking(False)
            try:
                probe.connect((address[0], port, *address[2:]))
                probe.send(question)
            except OSError:
                continue
        while ready := select.select(list(sockets), [], [], REPLY_SECONDS)[0]:
            for probe in ready:
                try:
                    received[sockets[probe]] += len(probe.recv(1 << 16))
                except OSError:  # port unreachable
                    probe.close()
                    del sockets[probe]
            if not sockets:
                break
    finally:
        for probe in sockets:
            probe.close()
    return tuple(Echo(port, len(questions[port]), count) for port, count in received.items())


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    words = [struct.pack("<I", int(host[i : i + 8], 16)) for i in range(0, len(host), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address), int(port, 16)
