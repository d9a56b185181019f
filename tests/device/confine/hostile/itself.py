"""Attacks on the process's own bounds: programs, code, sockets, limits, the kernel."""

import ctypes
import os
import resource
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .calls import LIBC, Attacks, call, check

PAGE = os.sysconf("SC_PAGE_SIZE")


def attacks_on_itself() -> Attacks:
    """All of them, by their titles."""
    return {**_of_programs(), **_of_memory(), **_of_sockets(), **_of_limits(), **_of_the_kernel()}


def _of_programs() -> Attacks:
    """On success the process is gone, and the program says "done"."""
    return {
        "execute": lambda: os.execve("/usr/bin/echo", ["echo", "done"], {}),  # noqa: S606
        "execute by descriptor": lambda: os.execve(  # noqa: S606
            os.open("/usr/bin/echo", os.O_RDONLY), ["echo", "done"], {}
        ),
        "execute from memory": _execute_from_memory,
        "fork": lambda: _end_child(os.fork()),
        "clone": lambda: _end_child(call("clone", signal.SIGCHLD, 0, 0, 0, 0)),
        "clone3": lambda: _end_child(
            call("clone3", struct.pack("8Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0), 64)
        ),
    }


def _execute_from_memory() -> None:
    descriptor = os.memfd_create("program", os.MFD_CLOEXEC)
    os.write(descriptor, Path("/usr/bin/echo").read_bytes())
    os.execve(descriptor, ["echo", "done"], {})  # noqa: S606


def _end_child(child: int) -> None:
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _of_memory() -> Attacks:
    return {
        "map writable code": lambda: _map(7),
        "map a program's code": lambda: _map(5, os.open("/usr/bin/echo", os.O_RDONLY)),
        "make data executable": lambda: call("mprotect", _written(), PAGE, 5),
        "make data executable by a key": lambda: call("pkey_mprotect", _written(), PAGE, 5, -1),
        "share executable memory": _share_memory,
        "have all memory executable": lambda: call("personality", 0x0400000),
        "rewrite own code": _rewrite_code,
        "load a library": lambda: ctypes.CDLL("libanl.so.1"),
        "make a call-back": lambda: [ctypes.CFUNCTYPE(None)(lambda: None) for _ in range(4096)],
    }


def _map(rights: int, descriptor: int = -1) -> int:
    flags = 2 if descriptor >= 0 else 0x22  # MAP_PRIVATE, MAP_ANONYMOUS
    place = LIBC.mmap(None, ctypes.c_size_t(PAGE), rights, flags, descriptor, ctypes.c_long(0))
    if place == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")
    return int(place)


def _written() -> int:
    place = _map(3)
    ctypes.memset(place, 0xC3, 1)
    return place


def _share_memory() -> None:
    made = call("shmget", 0, PAGE, 0o1600)  # IPC_CREAT
    call("shmat", made, 0, 0o100000)  # SHM_EXEC


def _rewrite_code() -> None:
    """A byte of the C library's code, by itself: what W^X forbids, through the file."""
    place = ctypes.cast(LIBC.getpid, ctypes.c_void_p).value or 0
    with open("/proc/self/mem", "r+b", 0) as memory:
        memory.seek(place)
        memory.write(ctypes.string_at(place, 1))


def _of_sockets() -> Attacks:
    stream, datagram, raw = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW
    kinds = {
        "TCP": (socket.AF_INET, stream, 0),
        "TCP over IPv6": (socket.AF_INET6, stream, 0),
        "UDP": (socket.AF_INET, datagram, 0),
        "UDP over IPv6": (socket.AF_INET6, datagram, 0),
        "multipath TCP": (socket.AF_INET, stream, 262),
        "raw IP": (socket.AF_INET, raw, socket.IPPROTO_ICMP),
        "packet": (socket.AF_PACKET, raw, 0),
        "netlink": (socket.AF_NETLINK, raw, 0),
        "kernel cipher": (38, 5, 0),  # AF_ALG
        "virtual machine": (40, stream, 0),  # AF_VSOCK
        "Unix": (socket.AF_UNIX, stream, 0),
        "Unix datagram": (socket.AF_UNIX, datagram, 0),
    }
    found: Attacks = {f"open a {title} socket": _opening(kind) for title, kind in kinds.items()}
    return {
        **found,
        "listen": _listen,
        "listen without an address": _listen_anywhere,
        "answer as an abstract socket": _listen_abstract,
        "make a pair of sockets": lambda: socket.socketpair(),
    }


def _opening(kind: tuple[int, int, int]) -> Callable[[], None]:
    return lambda: socket.socket(*kind).close()


def _listen() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()


def _listen_anywhere() -> None:
    with socket.socket() as one:
        one.listen()


def _listen_abstract() -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(f"\0limpet-hostile-{os.getpid()}")
        one.listen()


def _of_limits() -> Attacks:
    files = resource.RLIMIT_NOFILE
    _, hard = resource.getrlimit(files)
    return {
        "raise a limit": lambda: check(
            LIBC.setrlimit(files, struct.pack("2Q", hard + 1, hard + 1))
        ),
        "change a limit": lambda: check(LIBC.setrlimit(files, struct.pack("2Q", hard, hard))),
        "run before others": lambda: call("setpriority", 0, 0, -5),
        "run in real time": lambda: call("sched_setscheduler", 0, 1, struct.pack("i", 1)),
        "hold memory": lambda: call("mlockall", 1),
        "be killed last": lambda: Path("/proc/self/oom_score_adj").write_text("-500"),
        "become dumpable": lambda: check(LIBC.prctl(4, 1, 0, 0, 0)),
        "outlive the supervisor": lambda: check(LIBC.prctl(1, 0, 0, 0, 0)),
        "take capabilities back": lambda: call(
            "capset", struct.pack("Ii", 0x20080522, 0), struct.pack("6I", 0, 0, 0, 0, 0, 0)
        ),
        "become another user": lambda: os.setuid(os.getuid()),
        "start threads": _start_thread,
    }


def _start_thread() -> None:
    thread = threading.Thread(target=time.monotonic)
    thread.start()
    thread.join()


def _of_the_kernel() -> Attacks:
    """As little as shows that the kernel went past the question of permission."""
    return {
        "load a module": lambda: call("init_module", b"x", 1, b""),
        "load a module by descriptor": lambda: call("finit_module", 0, b"", 0),
        "start another kernel": lambda: call("kexec_load", 0, 1 << 20, 0, 0),
        "program the kernel": lambda: call("bpf", 0, struct.pack("4I48x", 1, 4, 4, 1), 64),
        "handle own page faults": lambda: call("userfaultfd", 0),
        "queue calls": lambda: call("io_uring_setup", 1, ctypes.create_string_buffer(120)),
        "mount": lambda: call("mount", b"none", b"/nonexistent", b"tmpfs", 0, 0),
        "new namespaces": lambda: call("unshare", 0x04000000),
        "enter a namespace": lambda: call("setns", os.open("/proc/self/ns/uts", 0), 0),
        "change the root": lambda: call("chroot", b"/"),
        "use the kernel's keys": lambda: call("keyctl", 0, -1, 1),
        "add a key to the kernel": lambda: call("add_key", b"user", b"x", b"x", 1, -1),
        "count events of the processor": lambda: call(
            "perf_event_open", struct.pack("2IQ112x", 1, 128, 0), 0, -1, -1, 0
        ),
        "open by handle": lambda: call("open_by_handle_at", -100, struct.pack("2i8x", 8, 1), 0),
        "hide memory": lambda: call("memfd_secret", 0),
        "swap": lambda: call("swapon", b"/nonexistent", 0),
        "restart": lambda: call("reboot", 0, 0, 0, 0),
        "set the clock": lambda: call("clock_settime", 1, struct.pack("2q", 0, 0)),
        "read the kernel's log": lambda: call("syslog", 10, 0, 0),
        "account for processes": lambda: call("acct", b"/nonexistent/x"),
    }
