"""Looks a name up and connects, confined as the process that is named: "updater" or "app-dialer".

Run as a program, by root, in namespaces of its own: a name server that knows one host,
and a listener on that host's port. Argument: the process, the device's root. Prints the
peer's greeting.
"""

import fcntl
import os
import socket
import struct
import sys
import tempfile
from pathlib import Path

from limpet.device.confine import confine, confine_to_ports
from limpet.device.link.permits import Role
from limpet.device.link.start import Start

HOST, PORT = "vendor.example.com", 443
NAME_SERVER = "127.0.0.2"  # not the one that the C library asks where it cannot read a file
GREETING = b"reached"
_A, _HEADER_BYTES, _UP, _SET_FLAGS = 1, 12, 1, 0x8914
_PRIVATE, _BIND = (1 << 18) | (1 << 14), 1 << 12  # MS_PRIVATE | MS_REC, MS_BIND


def main() -> None:
    """See above."""
    name, root = sys.argv[1], Path(sys.argv[2])
    isolate()
    ready, says_ready = os.pipe()
    if os.fork() == 0:
        answer(says_ready)
    os.read(ready, 1)
    if name == "app-dialer":
        confine_to_ports(Start(role=Role.APP, root=root, slot="a"), (PORT,))
    else:
        confine(Role.UPDATER, Start(role=Role.UPDATER, root=root, slot="a"))
    with socket.create_connection((HOST, PORT), timeout=10) as connection:
        print(connection.recv(64).decode(), flush=True)


def isolate() -> None:
    """Namespaces for network and mounts, with a name server's address of our own in /etc."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    for result in (
        libc.unshare(0x40000000 | 0x00020000),  # CLONE_NEWNET | CLONE_NEWNS
        libc.mount(None, b"/", None, _PRIVATE, None),
    ):
        if result != 0:
            raise OSError(ctypes.get_errno(), "cannot be alone")
    files = {
        "resolv.conf": f"nameserver {NAME_SERVER}\n",
        "nsswitch.conf": "hosts: files dns\n",
    }
    for file, text in files.items():
        with tempfile.NamedTemporaryFile("w", delete=False) as own:
            own.write(text)
        if libc.mount(own.name.encode(), f"/etc/{file}".encode(), None, _BIND, None) != 0:
            raise OSError(ctypes.get_errno(), file)
        os.unlink(own.name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))


def answer(says_ready: int) -> None:
    """The name server and the host, until each has been asked."""
    with (
        socket.create_server(("127.0.0.1", PORT)) as host,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as names,
    ):
        names.bind((NAME_SERVER, 53))
        names.settimeout(10)
        host.settimeout(10)
        os.write(says_ready, b"1")
        for _ in range(2):  # for IPv4 and IPv6
            question, peer = names.recvfrom(512)
            names.sendto(reply(question), peer)
        connection, _ = host.accept()
        connection.sendall(GREETING)
        connection.close()
    os._exit(0)


def reply(question: bytes) -> bytes:
    """RFC 1035, 4.1: the one address, or none of another kind."""
    asked = question[_HEADER_BYTES : question.index(b"\0", _HEADER_BYTES) + 5]
    (kind,) = struct.unpack_from(">H", asked, len(asked) - 4)
    count = 1 if kind == _A else 0
    head = question[:2] + struct.pack(">5H", 0x8180, 1, count, 0, 0)
    record = struct.pack(">3HIH4s", 0xC00C, _A, 1, 60, 4, b"\x7f\0\0\x01") if count else b""
    return head + asked + record


if __name__ == "__main__":
    main()
