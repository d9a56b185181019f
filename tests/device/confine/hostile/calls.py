"""The attacker's tools: system calls by number, and what is said of an attempt."""

import ctypes
import errno
import os
import platform
from collections.abc import Callable

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
BLOCKED = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EXDEV})
"""EXDEV: link(2) and rename(2) over the border of a Landlock domain."""
LOADING = ("failed to map", "Operation not permitted", "Permission denied")

Attacks = dict[str, Callable[[], object]]


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
