"""Hostile code for the inside of a running role: it waits for orders, attacks, and reports.

The test copies this file into the runtime of its own device's slot, where it takes the place of
the functions that confine (`taken`); nothing that limpet ships knows of it. The orders come,
and the report goes, through files that were open before: a confined process needs no further
right for them. The same attacks run unconfined by `python hostile.py ORDERS NAME`, which is
the control: there the kernel must get past the question of permission.
"""

import ctypes
import errno
import fcntl
import json
import os
import platform
import resource
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.syscall.restype = ctypes.c_long
COLUMN = 0 if platform.machine() == "x86_64" else 1
NUMBERS = {
    "acct": (163, 89), "add_key": (248, 217), "bpf": (321, 280), "capset": (126, 91),
    "chmod": (90, None), "chown": (92, None), "chroot": (161, 51), "clock_settime": (227, 112),
    "clone": (56, 220), "clone3": (435, 435), "fchmodat": (268, 53), "fchownat": (260, 54),
    "finit_module": (313, 273), "init_module": (175, 105), "io_uring_setup": (425, 425),
    "kexec_load": (246, 104), "keyctl": (250, 219), "memfd_secret": (447, 447),
    "mlockall": (151, 230), "mount": (165, 40), "mprotect": (10, 226),
    "open_by_handle_at": (304, 265), "perf_event_open": (298, 241), "personality": (135, 92),
    "pidfd_getfd": (438, 438), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424),
    "pkey_mprotect": (329, 288), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "ptrace": (101, 117), "quotactl": (179, 60), "reboot": (169, 142),
    "rt_sigqueueinfo": (129, 138), "sched_setscheduler": (144, 119), "setns": (308, 268),
    "setpriority": (141, 140), "setxattr": (188, 5), "shmat": (30, 196), "shmget": (29, 194),
    "swapon": (167, 224), "syslog": (103, 116), "tgkill": (234, 131), "unshare": (272, 97),
    "userfaultfd": (323, 282), "utimensat": (280, 88),
}  # fmt: skip
PAGE = os.sysconf("SC_PAGE_SIZE")
POLL_SECONDS, ORDER_BYTES, OPEN_FILES = 0.25, 64 << 10, 64
BLOCKED = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EXDEV})
"""EXDEV: link(2) and rename(2) over the border of a Landlock domain."""
LOADING = ("failed to map", "Operation not permitted", "Permission denied")

Orders = dict[str, Any]
Attacks = dict[str, Callable[[], object]]


# --- the way in


def taken(*originals: Callable[..., Any]) -> tuple[Callable[..., Any], ...]:
    """The functions that confine, each of which first lets the attacker in."""
    names = (None, "app-guard", "app-dialer")
    return tuple(map(_taken, originals, names))


def _taken(original: Callable[..., Any], name: str | None) -> Callable[..., Any]:
    def confine(*arguments: Any) -> Any:
        start = next(one for one in arguments if hasattr(one, "private"))
        _wait_for_orders(start.root / "hostile", name or start.role.value)
        return original(*arguments)

    return confine


def _wait_for_orders(place: Path, name: str) -> None:
    """Look for orders in every interval of a timer: whatever the process then does, it is the
    running role that attacks."""
    if not place.exists():  # in the factory
        return
    "a.example".encode("idna")  # the codec is a library: nothing is loaded any more later on
    orders = os.open(place / "orders.json", os.O_RDONLY)
    report = os.open(place / f"{name}.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    answered: list[bool] = []

    def look(number: int, frame: object) -> None:
        del number, frame
        os.lseek(orders, 0, os.SEEK_SET)
        if answered or not (text := os.read(orders, ORDER_BYTES)):
            return
        answered.append(True)
        found = {title: outcome(work) for title, work in attacks(json.loads(text), name).items()}
        os.write(report, json.dumps(found).encode())

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, POLL_SECONDS, POLL_SECONDS)


def outcome(work: Callable[[], object]) -> str:
    """ "done", "blocked", or the name of the error that shows that the kernel went further."""
    try:
        work()
    except OSError as error:
        if error.errno is None:  # ctypes, about a library that was not opened or not mapped
            return "blocked" if any(word in str(error) for word in LOADING) else str(error)
        return "blocked" if error.errno in BLOCKED else errno.errorcode[error.errno]
    except (RuntimeError, MemoryError):  # a thread that cannot start; a call-back without memory
        return "blocked"
    except Exception as error:
        return f"failed: {error!r}"
    return "done"


# --- the attacks


def attacks(orders: Orders, name: str) -> Attacks:
    """Everything that is tried in the process `name`, by its title."""
    return {
        **_of_programs(),
        **_of_memory(),
        **_of_processes(orders, name),
        **_of_files(orders, name),
        **_of_sockets(),
        **_of_limits(),
        **_of_the_kernel(),
    }


def _of_programs() -> Attacks:
    """On success the process is gone, and the program says "done"."""
    return {
        "execute": lambda: os.execve("/bin/echo", ["echo", "done"], {}),  # noqa: S606
        "execute by descriptor": lambda: os.execve(  # noqa: S606
            os.open("/bin/echo", os.O_RDONLY), ["echo", "done"], {}
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
    os.write(descriptor, Path("/bin/echo").read_bytes())
    os.execve(descriptor, ["echo", "done"], {})  # noqa: S606


def _end_child(child: int) -> None:
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _of_memory() -> Attacks:
    return {
        "map writable code": lambda: _map(7),
        "map a program's code": lambda: _map(5, os.open("/bin/echo", os.O_RDONLY)),
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


def _of_processes(orders: Orders, name: str) -> Attacks:
    """Against each other process of the device; done if any of them can be had."""
    victims = [pid for other, pid in orders["processes"].items() if other != name]

    def against_any(work: Callable[[int], object]) -> Callable[[], None]:
        def each() -> None:
            refusal = None
            for victim in victims:
                try:
                    work(victim)
                except OSError as error:
                    refusal = error
                else:
                    return
            raise refusal or OSError(errno.ESRCH, "no victim")

        return each

    return {
        "trace": against_any(lambda pid: call("ptrace", 0x4206, pid, 0, 0)),  # PTRACE_SEIZE
        "read memory": against_any(lambda pid: _vm("process_vm_readv", pid)),
        "write memory": against_any(lambda pid: _vm("process_vm_writev", pid)),
        "open memory": against_any(lambda pid: os.open(f"/proc/{pid}/mem", os.O_RDONLY)),
        "read environment": against_any(lambda pid: Path(f"/proc/{pid}/environ").read_bytes()),
        "take a descriptor": against_any(
            lambda pid: call("pidfd_getfd", call("pidfd_open", pid, 0), 0, 0)
        ),
        "take a descriptor of nobody": lambda: call("pidfd_getfd", -1, 0, 0),
        "signal": against_any(lambda pid: os.kill(pid, signal.SIGCONT)),
        "signal its thread": against_any(lambda pid: call("tgkill", pid, pid, signal.SIGCONT)),
        "signal by descriptor": against_any(
            lambda pid: call("pidfd_send_signal", call("pidfd_open", pid, 0), 18, 0, 0)
        ),
        "signal by a descriptor of nobody": lambda: call("pidfd_send_signal", -1, 18, 0, 0),
        "signal with a value": against_any(
            lambda pid: call("rt_sigqueueinfo", pid, 18, struct.pack("3i116x", 18, 0, -1))
        ),
        "signal all of the group": lambda: os.kill(0, signal.SIGCONT),
        "have it signalled": against_any(_own_pipe),
        "change its limits": against_any(
            lambda pid: check(LIBC.prlimit(pid, resource.RLIMIT_CORE, struct.pack("2Q", 0, 0), 0))
        ),
    }


def _vm(name: str, pid: int) -> None:
    buffer = ctypes.create_string_buffer(1)
    here = struct.pack("PN", ctypes.addressof(buffer), 1)
    there = struct.pack("PN", 8, 1)
    try:
        call(name, pid, here, 1, there, 1, 0)
    except OSError as error:
        if error.errno != errno.EFAULT:  # allowed; only the address is wrong
            raise


def _own_pipe(pid: int) -> None:
    for descriptor in range(OPEN_FILES):
        try:
            os.fstat(descriptor)
        except OSError:
            continue
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, pid)
        return


def _of_files(orders: Orders, name: str) -> Attacks:
    root = Path(orders["root"])
    role = name.partition("-")[0]
    other = next(root / one for one in ("accounts", "keeper") if one != role)
    own = root / role / "hostile"
    slot = root / "slots" / "a" / "product.toml"
    places = {
        "another role's directory": other / "planted",
        "the slot": slot.with_name("planted"),
        "the other slot": root / "slots" / "b" / "planted",
        "the device's directory": root / "planted",
        "/tmp": Path("/tmp") / f"limpet-hostile-{os.getpid()}",
        "/etc": Path("/etc") / f"limpet-hostile-{os.getpid()}",
    }
    found: Attacks = {f"write to {title}": _writing(path) for title, path in places.items()}
    if not name.startswith("app-"):
        found["write its own file"] = lambda: own.write_bytes(b"x")
        found["move a file out"] = lambda: _moving(own, other / "moved")
    if role != "keeper":
        found["read the key"] = lambda: (root / "keeper" / "idevid.key").read_bytes()
    secret = other / orders["secrets"][other.name]
    return {
        **found,
        "read another role's file": lambda: secret.read_bytes(),
        "list another role's files": lambda: os.listdir(other),
        "change the slot": lambda: os.close(os.open(slot, os.O_WRONLY)),
        "change what boot starts": lambda: os.close(
            os.open(root / "slots" / "boot.json", os.O_WRONLY)
        ),
        "cut another role's file": lambda: os.truncate(secret, secret.stat().st_size),
        "open another role's file to all": lambda: os.chmod(secret, 0o600),
        "give another role's file away": lambda: os.chown(secret, os.getuid(), -1),
        "change another role's file's time": lambda: os.utime(secret),
        "tag another role's file": lambda: os.setxattr(secret, "user.x", b"x"),
        "link another role's file": lambda: _linking(secret, own.with_name("stolen")),
        "read the passwords of the host": lambda: Path("/etc/shadow").read_bytes(),
    }


def _writing(path: Path) -> Callable[[], None]:
    def write() -> None:
        made = not path.parent.exists()
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
        path.unlink()
        if made:
            path.parent.rmdir()

    return write


def _moving(path: Path, target: Path) -> None:
    path.write_bytes(b"x")
    path.rename(target)
    target.unlink()


def _linking(path: Path, target: Path) -> None:
    os.link(path, target)
    target.unlink()


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


def call(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char]) -> int:
    """The system call itself. Raises `OSError`."""
    number = NUMBERS[name][COLUMN]
    longs = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return check(LIBC.syscall(ctypes.c_long(number or -1), *longs))


def check(result: int) -> int:
    """`result`, or the error that it stands for."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    print(outcome(attacks(given, "free")[sys.argv[2]]), flush=True)
