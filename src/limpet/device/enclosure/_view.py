"""A file system that holds nothing but what a role needs, in a mount namespace of its own.

Owns the mounts: a read-only tree in memory with the named places bound into it at the
paths that they have outside, and of /proc the process itself alone. What is not named has no
name in there, whatever its mode; and a place is reached whatever the directories above it
permit (a device below a private home directory, say).
"""

import contextlib
import ctypes
import os
import stat
import struct
from collections.abc import Sequence
from pathlib import Path

import msgspec

from limpet.device.enclosure._calls import call

__all__ = ["Place", "take_view"]

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 0x2, 0x4, 0x8
_MS_BIND, _MS_RECURSIVE, _MS_PRIVATE, _MNT_DETACH = 0x1000, 0x4000, 0x40000, 2
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_MOUNT_SETATTR = 442  # the same on every architecture; Linux 5.12
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_ATTRIBUTE_READ_ONLY, _ATTRIBUTE_NOSUID = 0x1, 0x2

STAGES = ("/run", "/mnt", "/media", "/dev")
"""Where the new root may be built: a directory that no place lies above is covered meanwhile."""


MAX_STACKED = 8


class Place(msgspec.Struct, frozen=True):
    """A file or a directory with all below it, at its path outside."""

    path: str
    writable: bool = False


def take_view(places: Sequence[Place]) -> str:
    """Make `places` the whole file system of this process; what was done, for a person.

    To be called in a mount namespace of its own. A place that does not exist is left out. Raises
    `OSError`; then the file system is what it was.
    """
    call("mount", None, b"/", None, ctypes.c_ulong(_MS_RECURSIVE | _MS_PRIVATE), None)
    stage = _choose_stage(places)
    own = Place(f"/proc/{os.getpid()}", writable=True)
    opened = [(place, found) for place in (*_outermost(places), own) if (found := _open(place))]
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    try:
        options = b"mode=0755,size=1m"
        call("mount", b"limpet", stage.encode(), b"tmpfs", ctypes.c_ulong(flags), options)
        try:
            for place, descriptor in opened:
                _bind(place.path, descriptor, stage=stage, writable=place.writable)
            os.symlink(str(os.getpid()), f"{stage}/proc/self")
            _set_attributes(stage, _ATTRIBUTE_READ_ONLY)
            _make_root(stage)
        except OSError:
            with contextlib.suppress(OSError):
                call("umount2", stage.encode(), _MNT_DETACH)
            raise
    finally:
        for _, descriptor in opened:
            os.close(descriptor)
    return f"{len(opened)} places"


def _outermost(places: Sequence[Place]) -> list[Place]:
    """Parents before what is below them; what a place above covers as well is left out."""
    kept: list[Place] = []
    for place in sorted(set(places), key=lambda place: (place.path, not place.writable)):
        covered = [one for one in kept if Path(place.path).is_relative_to(one.path)]
        if not any(one.writable or not place.writable for one in covered):
            kept.append(place)
    return kept


def _choose_stage(places: Sequence[Place]) -> str:
    for stage in STAGES:
        below = any(Path(stage).is_relative_to(os.path.realpath(place.path)) for place in places)
        if os.path.isdir(stage) and not below:
            return stage
    raise OSError("no directory is free to build the view in")


def _open(place: Place) -> int:
    """A descriptor of what is there; 0 for nothing."""
    try:
        return os.open(place.path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return 0


def _bind(path: str, descriptor: int, *, stage: str, writable: bool) -> None:
    target = stage + path
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        os.makedirs(target, mode=0o755, exist_ok=True)
        flags = _MS_BIND | _MS_RECURSIVE
    else:
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        if not os.path.exists(target):
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        flags = _MS_BIND
    source = f"/proc/self/fd/{descriptor}".encode()
    call("mount", source, target.encode(), None, ctypes.c_ulong(flags), None)
    attributes = _ATTRIBUTE_NOSUID | (0 if writable else _ATTRIBUTE_READ_ONLY)
    _set_attributes(target, attributes, below=_AT_RECURSIVE)


def _set_attributes(path: str, attributes: int, *, below: int = 0) -> None:
    """mount_setattr(2): unlike a remount, it leaves the other flags as they are."""
    wanted = struct.pack("=QQQQ", attributes, 0, 0, 0)
    size = ctypes.c_size_t(len(wanted))
    call("syscall", _SYS_MOUNT_SETATTR, _AT_FDCWD, path.encode(), below, wanted, size)


def _make_root(stage: str) -> None:
    """pivot_root(2), "pivot_root(".", ".")": the old root goes below the new one, and away."""
    os.chdir(stage)
    try:
        call("syscall", _SYS_PIVOT_ROOT[os.uname().machine], b".", b".")
    except (KeyError, OSError) as error:
        os.chdir("/")
        raise OSError(f"pivot_root: {error}") from error
    call("umount2", b".", _MNT_DETACH)
    os.chdir("/")
    for _ in range(MAX_STACKED):  # what else was mounted over the old root comes to light now
        if os.path.samefile("/", "/.."):
            return
        call("umount2", b"/..", _MNT_DETACH)
    raise OSError("the old root directory cannot be let go")
