"""System calls by number, for the two machines that limpet filters on, and which are alike.

Owns the numbers of the calls that the policy in `_allowed` names, as in the kernel's
asm/unistd_64.h (x86_64) and asm-generic/unistd.h (aarch64); a test compares them with the
headers. Decides nothing.
"""

from collections.abc import Mapping

__all__ = ["ALIKE", "NEWEST", "NUMBERS"]

NEWEST = 450
"""Calls above this number (Linux 6.1) do not exist for a confined process: a C library that
tries one takes the older way (ENOSYS)."""

NUMBERS: Mapping[str, tuple[int, int | None]] = {
    "accept": (43, 202), "accept4": (288, 242), "access": (21, None), "bind": (49, 200),
    "brk": (12, 214), "clock_getres": (229, 114), "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115), "clone": (56, 220), "clone3": (435, 435), "close": (3, 57),
    "connect": (42, 203), "epoll_ctl": (233, 21), "epoll_create1": (291, 20),
    "epoll_pwait": (281, 22), "epoll_pwait2": (441, 441), "epoll_wait": (232, None),
    "eventfd2": (290, 19), "exit": (60, 93), "exit_group": (231, 94), "faccessat": (269, 48),
    "faccessat2": (439, 439), "fadvise64": (221, 223), "fchmod": (91, 52), "fchown": (93, 55),
    "fcntl": (72, 25),
    "fdatasync": (75, 83), "flock": (73, 32), "fstat": (5, 80), "fsync": (74, 82),
    "ftruncate": (77, 46), "futex": (202, 98), "getcwd": (79, 17), "getdents": (78, None),
    "getdents64": (217, 61), "getegid": (108, 177), "geteuid": (107, 175), "getgid": (104, 176),
    "getpeername": (52, 205), "getpid": (39, 172), "getppid": (110, 173),
    "getrandom": (318, 278), "getrlimit": (97, 163), "getrusage": (98, 165),
    "getsockname": (51, 204), "getsockopt": (55, 209), "gettid": (186, 178),
    "gettimeofday": (96, 169), "getuid": (102, 174), "ioctl": (16, 29), "kill": (62, 129),
    "lseek": (8, 62), "lstat": (6, None), "madvise": (28, 233), "memfd_create": (319, 279),
    "mkdir": (83, None), "mkdirat": (258, 34), "mmap": (9, 222), "mprotect": (10, 226),
    "mremap": (25, 216), "munmap": (11, 215), "nanosleep": (35, 101), "newfstatat": (262, 79),
    "open": (2, None), "openat": (257, 56), "openat2": (437, 437), "pipe": (22, None),
    "pipe2": (293, 59), "poll": (7, None), "ppoll": (271, 73), "prctl": (157, 167),
    "pread64": (17, 67), "preadv": (295, 69), "preadv2": (327, 286), "prlimit64": (302, 261),
    "pselect6": (270, 72), "pwrite64": (18, 68), "pwritev": (296, 70), "pwritev2": (328, 287),
    "read": (0, 63), "readlink": (89, None), "readlinkat": (267, 78), "readv": (19, 65),
    "recvfrom": (45, 207), "recvmmsg": (299, 243), "recvmsg": (47, 212), "rename": (82, None),
    "renameat": (264, 38), "renameat2": (316, 276), "restart_syscall": (219, 128),
    "rmdir": (84, None), "rseq": (334, 293), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sched_getaffinity": (204, 123),
    "sched_yield": (24, 124), "seccomp": (317, 277), "select": (23, None),
    "sendfile": (40, 71), "sendmmsg": (307, 269), "sendmsg": (46, 211), "sendto": (44, 206),
    "set_robust_list": (273, 99), "setitimer": (38, 103), "setsockopt": (54, 208),
    "shutdown": (48, 210), "sigaltstack": (131, 132), "socket": (41, 198),
    "socketpair": (53, 199), "stat": (4, None), "statfs": (137, 43), "fstatfs": (138, 44),
    "statx": (332, 291), "symlink": (88, None), "symlinkat": (266, 36), "sysinfo": (99, 179),
    "tgkill": (234, 131), "time": (201, None), "truncate": (76, 45), "uname": (63, 160),
    "unlink": (87, None), "unlinkat": (263, 35), "utimensat": (280, 88), "wait4": (61, 260),
    "waitid": (247, 95), "write": (1, 64), "writev": (20, 66),
}  # fmt: skip
"""Name to number on x86_64 and on aarch64, where None: there is no such call."""

ALIKE: tuple[frozenset[str], ...] = tuple(
    map(
        frozenset,
        (
            ("accept", "accept4"),
            ("access", "faccessat", "faccessat2"),
            ("clock_gettime", "clock_getres", "gettimeofday", "time"),
            ("clock_nanosleep", "nanosleep"),
            ("epoll_wait", "epoll_pwait", "epoll_pwait2"),
            ("fstat", "lstat", "newfstatat", "stat", "statx"),
            ("fsync", "fdatasync"),
            ("getdents", "getdents64"),
            ("getegid", "geteuid", "getgid", "getpid", "getppid", "gettid", "getuid"),
            ("mkdir", "mkdirat"),
            ("open", "openat", "openat2"),
            ("pipe", "pipe2"),
            ("poll", "ppoll", "pselect6", "select"),
            ("pread64", "preadv", "preadv2"),
            ("pwrite64", "pwritev", "pwritev2"),
            ("read", "readv"),
            ("readlink", "readlinkat"),
            ("recvfrom", "recvmmsg", "recvmsg"),
            ("rename", "renameat", "renameat2"),
            ("rmdir", "unlink", "unlinkat"),
            ("sendmmsg", "sendmsg", "sendto"),
            ("statfs", "fstatfs"),
            ("symlink", "symlinkat"),
            ("wait4", "waitid"),
            ("write", "writev"),
        ),
    )
)
"""Calls that give the same right. A C library chooses among them by its age and the machine
(glibc from 2.28 on, musl; x86_64 has old names that aarch64 never had), so a grant of one is a
grant of all."""
