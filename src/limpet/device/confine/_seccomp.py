"""seccomp (seccomp(2)): system calls that a role never makes are refused by the kernel.

Owns the filter program, built here without a library. A deny list, with an
architecture check in front (seccomp(2), "Caveats"): what can start a program, look
into another process, change the system or open a socket of a foreign family fails
with EPERM; a call of a foreign architecture kills the process.
"""

import ctypes
import enum
import errno
import os
import platform
import struct
from collections.abc import Mapping, Sequence

__all__ = ["TABLES", "Sockets", "build", "install"]

# linux/bpf_common.h, linux/seccomp.h, linux/audit.h
_LOAD, _JUMP_EQUAL, _JUMP_ABOVE, _JUMP_ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_ARGUMENT_0, _OFFSET_ARGUMENT_1 = 0, 4, 16, 24
_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1
_X32_BIT = 0x40000000
_CLONE_THREAD = 0x00010000
_AF_UNIX, _AF_INET, _AF_INET6, _SOCK_DGRAM, _SOCK_TYPE_MASK = 1, 2, 10, 2, 0xF


class Sockets(enum.Enum):
    """Which sockets a role may still open."""

    NONE = "local only"
    STREAM = "TCP, no UDP"
    ANY = "TCP and UDP"


_X86_64: Mapping[str, int] = {
    "execve": 59, "execveat": 322, "fork": 57, "vfork": 58, "ptrace": 101,
    "process_vm_readv": 310, "process_vm_writev": 311, "process_madvise": 440,
    "pidfd_getfd": 438, "kcmp": 312, "perf_event_open": 298, "bpf": 321, "userfaultfd": 323,
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "move_mount": 429,
    "open_tree": 428, "fsopen": 430, "fsmount": 432, "mount_setattr": 442, "setns": 308,
    "unshare": 272, "open_by_handle_at": 304, "init_module": 175, "finit_module": 313,
    "delete_module": 176, "kexec_load": 246, "kexec_file_load": 320, "reboot": 169,
    "swapon": 167, "swapoff": 168, "acct": 163, "settimeofday": 164, "clock_settime": 227,
    "adjtimex": 159, "clock_adjtime": 305, "iopl": 172, "ioperm": 173, "personality": 135,
    "keyctl": 250, "add_key": 248, "request_key": 249, "quotactl": 179, "syslog": 103,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "memfd_secret": 447,
    "sethostname": 170, "setdomainname": 171, "mknod": 133, "mknodat": 259,
}  # fmt: skip

_AARCH64: Mapping[str, int] = {
    "execve": 221, "execveat": 281, "ptrace": 117,
    "process_vm_readv": 270, "process_vm_writev": 271, "process_madvise": 440,
    "pidfd_getfd": 438, "kcmp": 272, "perf_event_open": 241, "bpf": 280, "userfaultfd": 282,
    "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "move_mount": 429,
    "open_tree": 428, "fsopen": 430, "fsmount": 432, "mount_setattr": 442, "setns": 268,
    "unshare": 97, "open_by_handle_at": 265, "init_module": 105, "finit_module": 273,
    "delete_module": 106, "kexec_load": 104, "kexec_file_load": 294, "reboot": 142,
    "swapon": 224, "swapoff": 225, "acct": 89, "settimeofday": 170, "clock_settime": 112,
    "adjtimex": 171, "clock_adjtime": 266, "personality": 92,
    "keyctl": 219, "add_key": 217, "request_key": 218, "quotactl": 60, "syslog": 116,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "memfd_secret": 447,
    "sethostname": 161, "setdomainname": 162, "mknodat": 33,
}  # fmt: skip


class _Table:
    """One architecture: its audit number, refused calls, and the calls that are looked into."""

    def __init__(
        self, audit: int, refused: Mapping[str, int], *, socket: int, clone: int, seccomp: int
    ) -> None:
        self.audit = audit
        self.refused = refused
        self.socket = socket
        self.clone = clone
        self.clone3 = 435
        self.seccomp = seccomp


TABLES: Mapping[str, _Table] = {
    "x86_64": _Table(0xC000003E, _X86_64, socket=41, clone=56, seccomp=317),
    "aarch64": _Table(0xC00000B7, _AARCH64, socket=198, clone=220, seccomp=277),
}


def build(machine: str, sockets: Sockets) -> bytes:
    """The filter for `machine` as an array of sock_filter. Raises `ValueError` if unknown."""
    table = TABLES.get(machine)
    if table is None:
        raise ValueError(f"no system call table for {machine}")
    program = [
        _step(_LOAD, _OFFSET_ARCHITECTURE),
        *_unless_equal(table.audit, _give(_KILL)),
        _step(_LOAD, _OFFSET_NUMBER),
    ]
    if machine == "x86_64":  # the x32 interface has other numbers for the same calls
        program += [_step(_JUMP_ABOVE, _X32_BIT, 0, 1), *_give(_KILL)]
    for number in table.refused.values():
        program += _if_equal(number, _refuse(errno.EPERM))
    # glibc falls back from clone3, whose flags a filter cannot see, to clone.
    program += _if_equal(table.clone3, _refuse(errno.ENOSYS))
    program += _if_equal(table.clone, _threads_only())
    program += _if_equal(table.socket, _families(sockets))
    program += _give(_ALLOW)
    return b"".join(program)


def install(sockets: Sockets) -> str:
    """Put the filter into force for all threads, for good. Raises `OSError`, `ValueError`.

    The calling thread must have no_new_privs set.
    """
    machine = platform.machine()
    program = build(machine, sockets)
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(program, len(program))
    length = len(program) // 8
    header = struct.pack("HxxxxxxP", length, ctypes.addressof(buffer))  # struct sock_fprog
    number = TABLES[machine].seccomp
    if libc.syscall(number, _SET_MODE_FILTER, _FLAG_TSYNC, header) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"seccomp: {os.strerror(code)}")
    return f"{len(TABLES[machine].refused)} calls refused; sockets: {sockets.value}"


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _give(verdict: int) -> list[bytes]:
    return [_step(_RETURN, verdict)]


def _refuse(number: int) -> list[bytes]:
    return _give(_ERRNO | number)


def _if_equal(value: int, then: Sequence[bytes]) -> list[bytes]:
    """Run `then` (which must end in a verdict) if the accumulator is `value`."""
    return [_step(_JUMP_EQUAL, value, 0, len(then)), *then]


def _unless_equal(value: int, then: Sequence[bytes]) -> list[bytes]:
    return [_step(_JUMP_EQUAL, value, len(then), 0), *then]


def _threads_only() -> list[bytes]:
    return [
        _step(_LOAD, _OFFSET_ARGUMENT_0),
        _step(_JUMP_ANY_BIT, _CLONE_THREAD, 1, 0),
        *_refuse(errno.EPERM),
        *_give(_ALLOW),
    ]


def _families(sockets: Sockets) -> list[bytes]:
    """The verdict on socket(family, type, …)."""
    inet: list[bytes] = _refuse(errno.EPERM)
    if sockets is Sockets.ANY:
        inet = _give(_ALLOW)
    if sockets is Sockets.STREAM:
        inet = [
            _step(_LOAD, _OFFSET_ARGUMENT_1),
            _step(_AND, _SOCK_TYPE_MASK),
            *_if_equal(_SOCK_DGRAM, _refuse(errno.EPERM)),
            *_give(_ALLOW),
        ]
    return [
        _step(_LOAD, _OFFSET_ARGUMENT_0),
        *_if_equal(_AF_UNIX, _give(_ALLOW)),
        *_if_equal(_AF_INET, inet),
        *_if_equal(_AF_INET6, inet),
        *_refuse(errno.EPERM),
    ]
