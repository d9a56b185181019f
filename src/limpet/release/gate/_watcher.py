"""A program: starts a device in a network of its own, and tells what that device opens there.

Owns the network namespace, the watch over the kernel's tables of sockets (proc(5)), and the end
of every process that it started. It needs Python's library alone, and is run by its path, so
that little of ours is between the kernel and what is told. Connects to the device's own port and to
nothing else.
"""

import contextlib
import ctypes
import fcntl
import ipaddress
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Open", "main", "parse_table", "read_open"]

TABLE_BYTES = 4 << 20
ENDING_SECONDS = 8.0
"""A device stops within five seconds when it is asked to."""

_LOOK_SECONDS = 0.2
_HANDSHAKE_SECONDS = 2.0
_NEWUSER, _NEWNET = 0x10000000, 0x40000000  # linux/sched.h
_PDEATHSIG, _SUBREAPER = 1, 36  # prctl(2)
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1  # netdevice(7)
_LISTEN, _ACCEPTS = "0A", 0x10000  # net/tcp_states.h; __SO_ACCEPTCON, linux/net.h
_INTERNET = ("tcp", "udp", "udplite", "raw", "icmp")
_PROC, _NET = Path("/proc"), Path("/proc/self/net")


class Open(NamedTuple):
    """A socket that takes what anybody sends to it."""

    transport: str  # tcp, udp, udplite, raw, icmp, packet, unix
    address: str  # of unix: its abstract name
    port: int  # of raw: the protocol's number; of packet and unix: 0
    inode: int


def read_open() -> Iterator[Open]:
    """All such sockets in this process's network namespace."""
    for name in (*_INTERNET, *(f"{one}6" for one in _INTERNET), "packet", "unix"):
        with contextlib.suppress(OSError), (_NET / name).open("rb") as file:
            yield from parse_table(name, file.read(TABLE_BYTES).decode("ascii", "replace"))


def parse_table(name: str, text: str) -> Iterator[Open]:
    """Those in the table /proc/net/`name`; a line that is none is left out."""
    for line in text.splitlines()[1:]:
        words = line.split()
        with contextlib.suppress(ValueError, IndexError):
            if name == "packet":
                yield Open(name, "every interface", 0, int(words[8]))
            elif name == "unix":
                if int(words[3], 16) & _ACCEPTS and words[7].startswith("@"):
                    yield Open(name, words[7], 0, int(words[6]))
            elif _is_open(name, words):
                address, port = _endpoint(words[1])
                yield Open(name.removesuffix("6"), address, port, int(words[9]))


def _is_open(name: str, words: list[str]) -> bool:
    """TCP that listens; of the others what is tied to no peer."""
    return words[3] == _LISTEN if name.startswith("tcp") else _endpoint(words[2])[1] == 0


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.partition(":")
    words = [struct.pack("=I", int(host[i : i + 8], 16)) for i in range(0, len(host), 8)]
    return str(ipaddress.ip_address(b"".join(words))), int(port, 16)


def main() -> None:
    """Obey the order in the first argument, and print what was seen, both as JSON."""
    order = json.loads(sys.argv[1])
    why = _enter_network()
    libc = ctypes.CDLL(None)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)  # what the device leaves behind comes to us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    libc.prctl(_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != order["parent"]:
        sys.exit(1)
    host = "127.0.0.1" if why else "0.0.0.0"  # noqa: S104 - a network without anybody else in it
    command = [*order["command"], "--listen", f"{host}:{order['port']}"]
    foreign = {one.inode for one in read_open()}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as device:
        try:
            seen = _watch(order, device, foreign)
        finally:
            _end(device)
    print(json.dumps({"shared_because": why, **seen}))


def _enter_network() -> str:
    """Into a network namespace with a loopback interface; why not, if there can be none."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(_NEWNET) != 0:
        if libc.unshare(_NEWUSER | _NEWNET) != 0:
            return os.strerror(ctypes.get_errno()).lower()
        own = Path("/proc/self")
        (own / "setgroups").write_text("deny")  # user_namespaces(7): before gid_map
        (own / "uid_map").write_text(f"{user} {user} 1")
        (own / "gid_map").write_text(f"{group} {group} 1")
    with contextlib.suppress(OSError):  # else a device of an ordinary user has no port below 1024
        Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack("16sH22x", b"lo", 0))
        flags = struct.unpack_from("H", asked, 16)[0] | _IFF_UP
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags))
    return ""


def _watch(
    order: dict[str, Any], device: subprocess.Popen[bytes], foreign: set[int]
) -> dict[str, Any]:
    """Look again and again: until it answers, then for a while, and until all is open."""
    wanted = {(transport, port) for transport, port in order["wanted"]}
    found: dict[int, tuple[Open, str]] = {}
    began, answered = time.monotonic(), 0.0
    while device.poll() is None:
        holders = _holders(device.pid)  # anew: a role takes its name when it is confined
        for one in read_open():
            if one.inode not in foreign:
                found[one.inode] = (
                    one,
                    holders.get(one.inode) or found.get(one.inode, ("", ""))[1],
                )
        now = time.monotonic()
        if not answered and _answers(order["port"], found):
            answered = now
        is_whole = wanted <= {(one.transport, one.port) for one, _ in found.values()}
        enough = order["living"] if is_whole else order["late"]
        if now > (answered + enough if answered else began + order["answer"]):
            break
        time.sleep(_LOOK_SECONDS)
    sockets = [[one.transport, one.address, one.port, holder] for one, holder in found.values()]
    return {"answered": bool(answered), "ended": device.poll() is not None, "sockets": sockets}


def _answers(port: int, found: dict[int, tuple[Open, str]]) -> bool:
    """Whether a TLS handshake succeeds: the port is bound long before anybody is served."""
    if ("tcp", port) not in {(one.transport, one.port) for one, _ in found.values()}:
        return False
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it has no name yet
    with contextlib.suppress(OSError):
        address = ("127.0.0.1", port)
        with socket.create_connection(address, timeout=_HANDSHAKE_SECONDS) as connection:
            context.wrap_socket(connection).close()
        return True
    return False


def _holders(device: int) -> dict[int, str]:
    """The names of the device's processes by the sockets that they may be seen to hold."""
    found: dict[int, str] = {}
    for pid in _below(device):
        with contextlib.suppress(OSError):
            name = (_PROC / str(pid) / "comm").read_text(errors="replace").strip()
            for one in (_PROC / str(pid) / "fd").iterdir():
                with contextlib.suppress(OSError, ValueError):
                    kind, _, inode = os.readlink(one).partition(":")
                    if kind == "socket":
                        found.setdefault(int(inode.strip("[]")), name)
    return found


def _below(ancestor: int) -> list[int]:
    """The process and all that descend from it, those first that were started last."""
    parents: dict[int, int] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                after_name = (entry / "stat").read_text(errors="replace").rpartition(")")[2]
                parents[int(entry.name)] = int(after_name.split()[1])
    found = [ancestor]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[::-1]


def _end(device: subprocess.Popen[bytes]) -> None:
    """Stop it in order, then kill all that is left below this process."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    device.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        device.wait(ENDING_SECONDS)
    while left := _below(os.getpid())[:-1]:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        device.poll()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


if __name__ == "__main__":
    main()
