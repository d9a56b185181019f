"""The system calls that each process of a device may still make: the policy, as data.

A process may make the calls of its compartment's grants, with the arguments that stand
there, and no others. Every grant says why. One that is `rare` is needed, but no run that a
person waits for shows it; every other is seen by `./run trace`, which runs a device through
its life and compares (docs/device.md). Decides nothing; `_seccomp` makes the kernel's
program of it.
"""

import enum
import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "COMPARTMENTS",
    "REFUSED",
    "SELF",
    "Argument",
    "Call",
    "Compartment",
    "Grant",
    "Refusal",
]


class Compartment(enum.Enum):
    """A kind of process with a policy of its own; the value is its name in `ps`."""

    KEEPER = "keeper"
    TOKEN_KEEPER = "keeper-token"  # noqa: S105 (a name, no password)
    ACCOUNTS = "accounts"
    APP = "app"
    GUARD = "app-guard"
    DIALER = "app-dialer"
    UPDATER = "updater"
    GATEWAY = "gateway"
    ANNOUNCER = "announcer"


SELF = -1
"""Stands for the id of the process that is confined."""


@dataclass(frozen=True, slots=True)
class Argument:
    """The argument at `index`, under `mask`, is one of `values`. `high` looks at its upper half,
    which the kernel ignores where the argument is an int or a set of flags."""

    index: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    high: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is allowed if all of `arguments` hold."""

    name: str
    arguments: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Some calls and why they are needed."""

    why: str
    calls: tuple[Call, ...]
    rare: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A call that a library tries and does without; every other refused call is an attack."""

    why: str
    call: Call
    error: int = errno.EPERM


def _calls(names: str) -> tuple[Call, ...]:
    return tuple(Call(name) for name in names.split())


def _call(name: str, *arguments: Argument) -> Call:
    return Call(name, arguments)


def _one(index: int, *values: int) -> Argument:
    return Argument(index, values)


def _none_of(index: int, bits: int) -> Argument:
    return Argument(index, (0,), bits)


# Numbers of the kernel's headers that Python has no portable name for.
_PROT_EXEC = 4
_THREAD_FLAGS = 0x003D0F00  # clone(2) as pthread_create calls it: no namespace, no new process
_MUSL_DETACHED = 0x00400000  # a flag of old that musl still sets and the kernel ignores
_FIONCLEX, _FIOCLEX, _FIONBIO, _FIONREAD, _TCGETS = 0x5450, 0x5451, 0x5421, 0x541B, 0x5401
_F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL, _F_DUPFD_CLOEXEC = 1, 2, 3, 4, 0x406
_F_GETLK, _F_SETLK, _F_SETLKW = 5, 6, 7
_IOCTL_KIND = 0xFF00  # of a request's number (linux/ioctl.h)
_BUSES = (0x07, 0x6B, 0xB4)  # I2C, SPI, GPIO (linux/i2c-dev.h, spi/spidev.h, gpio.h)
_SERIAL = (  # asm-generic/ioctls.h: settings, flush and lines of a terminal; never its input
    *range(0x5402, 0x5405), 0x5409, 0x540B, 0x540C, 0x5411, *range(0x5415, 0x5419), 0x541B,
)  # fmt: skip
_SOL_SOCKET, _IPPROTO_IP, _IPPROTO_TCP, _IPPROTO_UDP, _IPPROTO_IPV6 = 1, 0, 6, 17, 41
_TCP_NODELAY, _SO_LINGER, _SO_RCVBUF, _IP_RECVERR, _IPV6_RECVERR = 1, 13, 8, 11, 25
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK, _STREAM, _DGRAM, _TYPE = 1, 2, 10, 16, 1, 2, 0xF
_GROUPS_4, _GROUPS_6 = (35, 36), (20, 21)  # IP_ADD_MEMBERSHIP, …; IPV6_JOIN_GROUP, _LEAVE_GROUP
_INTERFACES = (0x8912, 0x8913, 0x891B, 0x8933)  # SIOCGIFCONF, _FLAGS, _NETMASK, _INDEX
_PR_SET_NAME = 15
_MFD_CLOEXEC, _MFD_NOEXEC_SEAL = 1, 8

_ANONYMOUS_FILE = (_one(1, _MFD_CLOEXEC, _MFD_CLOEXEC | _MFD_NOEXEC_SEAL),)

_INTERPRETER = Grant(
    why="Python itself: memory that never becomes executable, locks, signals, the end",
    calls=(
        *_calls("brk mremap munmap futex rt_sigaction getpid exit_group close fstat"),
        _call("mmap", _none_of(2, _PROT_EXEC)),
    ),
)
_INTERPRETER_RARELY = Grant(
    why="Python and the C library: a heap that shrinks or grows, an interrupted call, a handler's"
    " stack, a clock without vDSO, OpenSSL's reseed, an abort, a bound that is read",
    calls=(
        *_calls("madvise rt_sigprocmask rt_sigreturn restart_syscall sigaltstack"),
        *_calls("clock_gettime clock_nanosleep getrandom sched_yield sched_getaffinity sysinfo"),
        *_calls("read write lseek getrusage uname getrlimit"),
        _call("mprotect", _none_of(2, _PROT_EXEC)),
        _call("tgkill", _one(0, SELF)),
        _call("kill", _one(0, SELF)),
        _call("prlimit64", _one(0, 0, SELF), _one(2, 0), Argument(2, (0,), high=True)),
        _call("fcntl", _one(1, _F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL, _F_DUPFD_CLOEXEC)),
        _call("ioctl", _one(1, _TCGETS, _FIOCLEX, _FIONCLEX)),
    ),
    rare=True,
)
_LINKS = Grant(
    why="asyncio over the links to other roles, and their handover",
    calls=(
        *_calls("epoll_wait epoll_ctl recvfrom sendto getsockname getpeername getsockopt"),
        _call("ioctl", _one(1, _FIONBIO)),
    ),
)
_LINKS_RARELY = Grant(
    why="asyncio: a link that is shut down, the timer of an orderly end (SIGTERM)",
    calls=_calls("shutdown setitimer poll"),
    rare=True,
)
_READING = Grant(
    why="reading files, where Landlock has them",
    calls=(*_calls("openat read lseek getdents64"), _call("ioctl", _one(1, _TCGETS))),
)
_READING_RARELY = Grant(
    why="Python and modules: paths that are resolved, memory that is given back",
    calls=_calls("readlink getcwd access pread64"),
    rare=True,
)
_WRITING = Grant(
    why="files in the process's own directory, written atomically and durably (limpet.storage)",
    calls=_calls("write rename fsync getrandom"),
)
_WRITING_RARELY = Grant(
    why="the same at its first use, and after a failure",
    calls=_calls("mkdir unlink ftruncate"),
    rare=True,
)
_THREADS = Grant(
    why="a worker thread beside the loop",
    calls=(
        _call("clone", Argument(0, (_THREAD_FLAGS,), 0xFFFFFFFF & ~_MUSL_DETACHED)),
        _call("mprotect", _none_of(2, _PROT_EXEC)),
        *_calls("rt_sigprocmask set_robust_list rseq gettid"),
    ),
)
_ACCEPTING = Grant(
    why="connections at the socket that was bound before; no new socket",
    calls=_calls("accept4"),
)
_DROPPING = Grant(
    why="a connection that is not admitted is reset at once (limpet.https.server)",
    calls=(_call("setsockopt", _one(1, _SOL_SOCKET), _one(2, _SO_LINGER)),),
    rare=True,
)
_WAITING = Grant(
    why="the app lets its guard make the outputs safe, and waits for its end",
    calls=_calls("wait4"),
)
_PRODUCT = Grant(
    why="the product: outputs and records that are rewritten in place",
    calls=_calls("pread64 pwrite64"),
)
_PRODUCT_RARELY = Grant(
    why="a product's own code: requests to I2C, SPI, GPIO and serial lines that it opened before,"
    " a loop of asyncio's with a pair of sockets that reaches nobody, the locks of a database",
    calls=(
        *(_call("ioctl", Argument(1, (kind << 8,), _IOCTL_KIND)) for kind in _BUSES),
        _call("ioctl", _one(1, *_SERIAL)),
        *_calls("epoll_create1 eventfd2 pipe flock"),
        _call("socketpair", _one(0, _AF_UNIX)),
        _call("fcntl", _one(1, _F_GETLK, _F_SETLK, _F_SETLKW)),
    ),
    rare=True,
)
_SAFE_WRITES = Grant(
    why="the outputs made safe, through files that are open",
    calls=_calls("read write pwrite64 fsync"),
)
_THREADS_RARELY = Grant(
    why="a thread that ends; its name (Python 3.14)",
    calls=(*_calls("exit"), _call("prctl", _one(0, _PR_SET_NAME))),
    rare=True,
)
_TLS = Grant(
    why="certificates for OpenSSL in a file without a name (limpet.crypto.tls)",
    calls=(_call("memfd_create", *_ANONYMOUS_FILE), *_calls("read write lseek openat getrandom")),
)
_CONNECTING = Grant(
    why="TCP connections, to the ports that Landlock has",
    calls=(
        _call("socket", _one(0, _AF_INET, _AF_INET6), Argument(1, (_STREAM,), _TYPE),
              _one(2, 0, _IPPROTO_TCP)),
        *_calls("connect poll getsockopt"),
        _call("ioctl", _one(1, _FIONBIO)),
    ),
)  # fmt: skip
_NAMES = Grant(
    why="the C library looks names up, in its files and over UDP: only root's runs show it",
    calls=(
        _call("socket", _one(0, _AF_INET, _AF_INET6), Argument(1, (_DGRAM,), _TYPE),
              _one(2, 0, _IPPROTO_UDP)),
        _call("setsockopt", _one(1, _IPPROTO_IP), _one(2, _IP_RECVERR)),
        _call("setsockopt", _one(1, _IPPROTO_IPV6), _one(2, _IPV6_RECVERR)),
        _call("ioctl", _one(1, _FIONREAD)),
        *_calls("openat read lseek connect sendmmsg recvfrom poll getsockname uname"),
    ),
    rare=True,
)  # fmt: skip
_HOLDING_LITTLE = Grant(
    why="the kernel holds little of an image that is not taken yet (limpet.device.updater.source)",
    calls=(_call("setsockopt", _one(1, _SOL_SOCKET), _one(2, _SO_RCVBUF)),),
)
_TCP_OPTIONS = Grant(
    why="a connection sends small messages at once",
    calls=(_call("setsockopt", _one(1, _IPPROTO_TCP), _one(2, _TCP_NODELAY)),),
)

_ANNOUNCING = Grant(
    why="multicast DNS with the sockets that were bound before: the groups of each network, and"
    " which networks there are; no new socket, and no option that lets one send further: seen in"
    " network namespaces only, since a device that listens on loopback is on no network",
    calls=(
        *_calls("recvmsg sendmsg openat read lseek"),
        _call("setsockopt", _one(1, _IPPROTO_IP), _one(2, *_GROUPS_4)),
        _call("setsockopt", _one(1, _IPPROTO_IPV6), _one(2, *_GROUPS_6)),
        _call("ioctl", _one(1, *_INTERFACES)),
    ),
    rare=True,
)
_INSTALLING = Grant(
    why="the updater: TUF's link to its current root, room on the disk, trees that are removed, the"
    " modes of firmware: without set-id bits, and not for all to write",
    calls=(*_calls("symlink statfs rmdir"), _call("fchmod", _one(1, 0o644, 0o755))),
)
_READING_BACK = Grant(
    why="the updater: a slot of blocks is read from its medium and not from a cache"
    " (limpet.firmware.medium); the device of a trace has trees",
    calls=_calls("fadvise64"),
    rare=True,
)
_TOKEN = Grant(
    why="a PKCS#11 module: its locks, its files or its database, its socket to a TPM or a server",
    calls=(
        *_calls("flock pread64 pwrite64 connect ftruncate unlink mkdir"),
        _call("fcntl", _one(1, _F_GETLK, _F_SETLK, _F_SETLKW)),
        _call("socket", _one(0, _AF_UNIX), Argument(1, (_STREAM,), _TYPE)),
    ),
)
_ROLE = (_INTERPRETER, _INTERPRETER_RARELY, _LINKS, _LINKS_RARELY, _READING, _READING_RARELY)
_KEEPING = (*_ROLE, _WRITING, _WRITING_RARELY)

COMPARTMENTS: Mapping[Compartment, Sequence[Grant]] = {
    Compartment.KEEPER: (*_KEEPING, _TLS),
    Compartment.TOKEN_KEEPER: (*_KEEPING, _TLS, _TOKEN),
    Compartment.ACCOUNTS: (*_KEEPING, _THREADS, _THREADS_RARELY),
    Compartment.APP: (
        *_KEEPING, _THREADS, _THREADS_RARELY, _TLS, _TCP_OPTIONS, _WAITING,
        _PRODUCT, _PRODUCT_RARELY,
    ),
    Compartment.GUARD: (_INTERPRETER, _INTERPRETER_RARELY, _SAFE_WRITES),
    Compartment.DIALER: (_INTERPRETER, _INTERPRETER_RARELY, _CONNECTING, _NAMES),
    Compartment.UPDATER: (
        *_KEEPING, _THREADS, _THREADS_RARELY, _TLS, _CONNECTING, _NAMES, _TCP_OPTIONS,
        _HOLDING_LITTLE, _INSTALLING, _READING_BACK,
    ),
    Compartment.GATEWAY: (*_KEEPING, _TLS, _ACCEPTING, _TCP_OPTIONS, _DROPPING),
    Compartment.ANNOUNCER: (*_ROLE, _ANNOUNCING),
}  # fmt: skip

REFUSED: Sequence[Refusal] = (
    Refusal(
        why="its flags are out of a filter's sight; the C library then calls clone",
        call=Call("clone3"),
        error=errno.ENOSYS,
    ),
    Refusal(
        why="glibc asks the name service's cache before it looks a name up itself",
        call=_call("socket", _one(0, _AF_UNIX)),
    ),
    Refusal(
        why="glibc asks which kinds of address this machine has, and goes on without an answer",
        call=_call("socket", _one(0, _AF_NETLINK)),
    ),
    Refusal(
        why="SQLite, as root, gives a journal the owner of the database; it has that owner",
        call=Call("fchown"),
    ),
    Refusal(
        why="Path.touch sets a file's time, and if it may not, opens the file; the time of any"
        " file of the same user could be set",
        call=Call("utimensat"),
    ),
)
"""What may be seen to be refused."""
