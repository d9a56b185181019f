"""Files that survive a power cut: bounded reads, atomic durable writes; and trees that go whole.

Owns the one way in which limpet puts a file on disk. Never leaves a half
written file under its final name, and never reads more than the caller's bound.

A write goes to a temporary name in the same directory, is fsynced, renamed over
the final name, and the directory is fsynced (POSIX rename is atomic, but only an
fsynced directory makes it durable).
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from limpet.errors import Rejected, Unavailable

__all__ = [
    "DAMAGED_STORAGE",
    "DISK_FULL",
    "STORAGE_REASONS",
    "advice_for",
    "empty_directory",
    "make_directory",
    "read_bounded",
    "reason_for",
    "remove_durably",
    "remove_tree",
    "sync_directory",
    "write_atomic",
]

_ADVICE: Mapping[int, str] = {
    errno.ENOSPC: "free some space, then try again",
    errno.EDQUOT: "free some space, then try again",
    errno.EACCES: "run it as the user who owns it, or change its permissions",
    errno.EPERM: "run it as the user who owns it, or change its permissions",
    errno.EROFS: "choose a place on a file system that can be written",
    errno.ENOTDIR: "a part of this path is a file, not a directory",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


DAMAGED_STORAGE = "storage"
"""The reason of an error that no space and no right would mend: a directory where a file should
be, a block that cannot be read."""

DISK_FULL = "disk-full"

_REASONS: Mapping[int, str] = {
    errno.ENOSPC: DISK_FULL,
    errno.EDQUOT: DISK_FULL,
    errno.EACCES: "not-permitted",
    errno.EPERM: "not-permitted",
    errno.EROFS: "read-only",
}


_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMES_AT_ONCE = 1024  # in memory, of a directory that anybody may have filled


def advice_for(error: OSError) -> str:
    """What a person can do about `error`; empty if the message says all."""
    return _ADVICE.get(error.errno or 0, "")


STORAGE_REASONS = frozenset({*_REASONS.values(), DAMAGED_STORAGE})
"""Every reason of an `Unavailable` that a file system caused."""


def reason_for(error: OSError) -> str:
    """The stable word for `error` of a file system; `DAMAGED_STORAGE` if there is none better."""
    return _REASONS.get(error.errno or 0, DAMAGED_STORAGE)


def sync_directory(path: Path) -> None:
    """Make renames and removals within `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path, *, mode: int = 0o700) -> Path:
    """Make `path` and its parents where missing; a new one gets `mode`. Raises `Unavailable`.

    Durable on return: what is then written into a new directory must not go with its name.
    """
    missing = [one for one in (path, *path.parents) if not one.exists()]
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
        for one in reversed(missing):
            sync_directory(one.parent)
    except FileExistsError as error:
        message = f"cannot create {path}: there is a file of this name"
        raise Unavailable(message, hint="choose another name, or remove the file") from error
    except OSError as error:
        raise _unavailable(error, path, "create") from error
    return path


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace `path` by `data`, wholly or not at all; durable on return.

    The file gets exactly `mode`. Raises `Unavailable` (disk full, missing
    directory, no permission); the old content then still stands.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) != mode:
                os.fchmod(file.fileno(), mode)  # the umask took some; a role may not, and need not
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _unavailable(error, path, "write") from error


def remove_durably(path: Path) -> None:
    """Remove the file `path`, or a directory that stands in its place; durable on return."""
    try:
        try:
            path.unlink(missing_ok=True)
        except IsADirectoryError:
            remove_tree(path)
        sync_directory(path.parent)
    except OSError as error:
        raise _unavailable(error, path, "remove") from error


def remove_tree(path: Path) -> None:
    """Remove the directory `path` as `empty_directory` does, or a link or file that stands in its
    place, if it is there. Raises `OSError`."""
    try:
        directory = os.open(path, _DIRECTORY)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        path.unlink(missing_ok=True)
        return
    try:
        _take_over(directory)
        empty_directory(directory)
    finally:
        os.close(directory)
    path.rmdir()


def empty_directory(directory: int) -> None:
    """Remove all that lies below the open `directory`, however much and however deep it is.

    Whoever filled it may have nested it so deep that a recursive removal ends for want of stack or
    of descriptors. So a directory that is not empty is moved up to the top, and emptied there. No
    link is followed, and for root what another user owned is taken over before it is looked at: it
    cannot be filled meanwhile. Raises `OSError`.
    """
    while names := _some_names(directory):
        for name in names:
            if not _is_removed(name, directory):
                inner = os.open(name, _DIRECTORY, dir_fd=directory)
                try:
                    _move_up(inner, directory)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=directory)


def _move_up(inner: int, top: int) -> None:
    """Empty `inner`: what cannot be removed at once goes to `top`, under a name that is free."""
    _take_over(inner)
    while names := _some_names(inner):
        for name in names:
            if not _is_removed(name, inner):
                os.rename(name, secrets.token_hex(16), src_dir_fd=inner, dst_dir_fd=top)


def _take_over(directory: int) -> None:
    if os.geteuid() == 0 and os.fstat(directory).st_uid != 0:
        os.fchown(directory, 0, 0)
        os.fchmod(directory, 0o700)


def _some_names(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in islice(entries, _NAMES_AT_ONCE)]


def _is_removed(name: str, directory: int) -> bool:
    """Remove a file, a link or an empty directory; False for a directory with something in it."""
    try:
        os.unlink(name, dir_fd=directory)
    except IsADirectoryError:
        try:
            os.rmdir(name, dir_fd=directory)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            return False
    return True


def read_bounded(path: Path, *, max_bytes: int) -> bytes:
    """The content of `path`, of at most `max_bytes` bytes.

    Raises `Unavailable` if it cannot be read, `Rejected("too-large")` if it is larger.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise _unavailable(error, path, "read") from error
    if len(data) > max_bytes:
        raise Rejected("too-large", f"{path} is larger than {max_bytes} bytes")
    return data


def _unavailable(error: OSError, path: Path, doing: str) -> Unavailable:
    reason = (error.strerror or "failed").lower()
    message = f"cannot {doing} {path}: {reason}"
    return Unavailable(message, hint=advice_for(error), reason=reason_for(error))
