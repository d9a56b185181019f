"""Landlock (landlock(7)): which files and TCP ports this process may still use.

Owns the rule set and its three system calls. Grants nothing by itself: what is
not granted is refused.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["READ", "WRITE", "FileGrant", "Ports", "abi_version", "require", "restrict"]

# linux/landlock.h; the numbers of the system calls are the same on every architecture.
_SYS_CREATE, _SYS_ADD_RULE, _SYS_RESTRICT = 444, 445, 446
_CREATE_VERSION = 1
_RULE_PATH, _RULE_PORT = 1, 2
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_REMOVE_AND_MAKE_FIRST, _REMOVE_AND_MAKE_LAST = 4, 12
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_SOCKET, _SCOPE_SIGNAL = 1, 2
_SINCE_ABI = ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEVICE))

_ALL_MAKE_AND_REMOVE = sum(
    1 << bit for bit in range(_REMOVE_AND_MAKE_FIRST, _REMOVE_AND_MAKE_LAST + 1)
)
_SPECIAL_FILES = (1 << 6) | (1 << 9) | (1 << 10) | (1 << 11) | (1 << 12)  # devices, links, …
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE

READ = _READ_FILE | _READ_DIR
"""Read files, list directories. Never execute: the interpreter is already running."""

WRITE = READ | _WRITE_FILE | (_ALL_MAKE_AND_REMOVE & ~_SPECIAL_FILES) | _REFER | _TRUNCATE
"""Everything with plain files and directories."""

LINK = 1 << 12
"""Make symbolic links; what they point to is judged by its own place."""

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class FileGrant:
    """Rights on everything beneath `path`; a path that does not exist grants nothing."""

    path: Path
    rights: int


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports that may be bound, and those that may be connected to (None: any)."""

    bind: tuple[int, ...] = ()
    connect: tuple[int, ...] | None = ()

    def describe(self) -> str:
        """For a person."""
        connect = "any" if self.connect is None else ", ".join(map(str, self.connect)) or "none"
        return f"bind {', '.join(map(str, self.bind)) or 'none'}; connect {connect}"


def abi_version() -> int:
    """The kernel's Landlock version, 0 if it has none or it is switched off."""
    version = int(_libc.syscall(_SYS_CREATE, None, ctypes.c_size_t(0), _CREATE_VERSION))
    return max(version, 0)


def require(abi: int, wanted: int, what: str, detail: str) -> str:
    """`detail` if the kernel's `abi` has `what`. Raises `OSError` if not."""
    if abi < wanted:
        raise OSError(f"Landlock {what} need version {wanted}, the kernel has {abi}")
    return detail


def restrict(abi: int, files: Sequence[FileGrant], ports: Ports) -> str:
    """Give up everything but `files` and `ports`, for good. Raises `OSError`.

    The calling thread must have no_new_privs set.
    """
    require(abi, 1, "file rules", "")
    handled = _handled_files(abi)
    ruleset = _create(abi, handled, _handled_ports(ports))
    try:
        for grant in files:
            _allow_path(ruleset, grant, handled)
        if abi >= 4:
            _allow_ports(ruleset, _BIND_TCP, ports.bind)
            _allow_ports(ruleset, _CONNECT_TCP, ports.connect or ())
        _check(_libc.syscall(_SYS_RESTRICT, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)
    return f"version {abi}, {len(files)} paths"


def _handled_files(abi: int) -> int:
    rights = _EXECUTE | _WRITE_FILE | READ | _ALL_MAKE_AND_REMOVE
    for since, right in _SINCE_ABI:
        if abi >= since:
            rights |= right
    return rights


def _handled_ports(ports: Ports) -> int:
    return _BIND_TCP | (0 if ports.connect is None else _CONNECT_TCP)


def _create(abi: int, files: int, ports: int) -> int:
    attributes = struct.pack("=Q", files)
    if abi >= 4:
        attributes += struct.pack("=Q", ports)
    if abi >= 6:
        attributes += struct.pack("=Q", _SCOPE_ABSTRACT_SOCKET | _SCOPE_SIGNAL)
    size = ctypes.c_size_t(len(attributes))
    return _check(_libc.syscall(_SYS_CREATE, attributes, size, 0), "landlock_create_ruleset")


def _allow_path(ruleset: int, grant: FileGrant, handled: int) -> None:
    try:
        descriptor = os.open(grant.path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return  # nothing there, nothing granted
    try:
        rights = grant.rights & handled
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        _check(_libc.syscall(_SYS_ADD_RULE, ruleset, _RULE_PATH, rule, 0), str(grant.path))
    finally:
        os.close(descriptor)


def _allow_ports(ruleset: int, right: int, ports: Sequence[int]) -> None:
    for port in ports:
        rule = struct.pack("=QQ", right, port)
        _check(_libc.syscall(_SYS_ADD_RULE, ruleset, _RULE_PORT, rule, 0), f"port {port}")


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return int(result)
