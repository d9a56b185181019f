"""Who owns what below a device's directory, when it is started as root.

Owns the table and the walk that enforces it: at every start, so that a device made by an
ordinary user, moved, restored or cut off halfway ends up right. From the top down and by open
directories: while root alone may enter a directory, nobody can change what is judged in it. No
link is followed. What is not given away is told and never stops a start, because a taken role
could leave such a thing behind.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from limpet.device.enclosure._user import SERVING, User
from limpet.device.enclosure.users import Users
from limpet.errors import Unavailable

__all__ = ["Settled", "own_device", "own_private", "verify_owner"]

MAX_DEPTH, MAX_ENTRIES, MAX_TOLD = 32, 200_000, 8

ROOT = User(uid=0, gid=0)


@dataclass(frozen=True, slots=True)
class _Owned:
    """Owner of a tree, the mode of its directories, and the bits of files that stay or are set."""

    user: User
    directory_mode: int
    file_mask: int
    file_bits: int = 0


def _of_root(users: Users) -> Mapping[str, _Owned]:
    """What belongs to root below the device's directory; what is not named is left alone."""
    public = _Owned(ROOT, 0o755, 0o644)
    keeper = User(uid=0, gid=users["keeper"].gid)
    return {
        "slots": _Owned(ROOT, 0o755, 0o755, 0o444),
        "run": public,
        "identity.json": public,
        "keystore.toml": _Owned(keeper, 0o700, 0o640, 0o440),
        "log": _Owned(ROOT, 0o700, 0o600),
        "before": _Owned(ROOT, 0o700, 0o700),
        "app.trial": _Owned(ROOT, 0o700, 0o700),
        "erase.pending": _Owned(ROOT, 0o700, 0o600),
        "random.seed": _Owned(ROOT, 0o700, 0o600),
    }


@dataclass(slots=True)
class Settled:
    """What a walk did: entries that got another owner or mode, and those that it refused."""

    changed: int = 0
    refused: list[str] = field(default_factory=list)


def verify_owner(root: Path) -> None:
    """That the calling user may run the device at `root`. Raises `Unavailable`."""
    try:
        owner = root.stat().st_uid
    except OSError as error:
        raise Unavailable(f"cannot look at {root}: {error.strerror}") from error
    if os.geteuid() not in (0, owner):
        whose = "root" if owner == 0 else f"user {owner}"
        raise Unavailable(
            f"the device in {root} belongs to {whose}",
            hint="start it as root; or, as root, give all of it to one user: chown -R",
        )


def own_device(root: Path, users: Users) -> Settled:
    """Give root what is its own: the device's directory, the slots, the log, what is public.

    Raises `Unavailable`.
    """
    done = Settled()
    with _opened(root) as top:
        _settle(top, ROOT, 0o755, done)
        for name, owned in _of_root(users).items():
            if _exists(top, name):
                _own(top, name, owned, done)
    return done


def own_private(root: Path, users: Users) -> Settled:
    """Make each role's directory where it is missing, and give it to its role alone.

    To be called while no role runs. Raises `Unavailable`.
    """
    done = Settled()
    with _opened(root) as top:
        for role in SERVING:
            if not _exists(top, role):
                os.mkdir(role, 0o700, dir_fd=top)
                os.fsync(top)
            _own(top, role, _Owned(users[role], 0o700, 0o700), done)
    return done


@contextmanager
def _opened(path: Path | str, *, below: int | None = None) -> Iterator[int]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, dir_fd=below)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise Unavailable(f"cannot give {error.filename or path} its owner: {why}") from error


def _exists(parent: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _own(parent: int, name: str, owned: _Owned, done: Settled, depth: int = 1) -> None:
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        _own_directory(parent, name, owned, done, depth)
    elif _is(status, owned.user) and not owned.file_bits & ~status.st_mode:
        return  # the rest of its mode is its owner's business
    elif stat.S_ISREG(status.st_mode):
        _own_file(parent, name, owned, done)
    elif stat.S_ISLNK(status.st_mode):
        user = owned.user
        os.chown(name, user.uid, user.gid, dir_fd=parent, follow_symlinks=False)
        done.changed += 1
    else:
        _refuse(done, f"{name} is neither file nor directory")


def _own_file(parent: int, name: str, owned: _Owned, done: Settled) -> None:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            _refuse(done, f"{name} has another name elsewhere: it may be anybody's file")
            return
        mode = stat.S_IMODE(status.st_mode) & owned.file_mask | owned.file_bits
        os.fchown(descriptor, owned.user.uid, owned.user.gid)
        os.fchmod(descriptor, mode)
        done.changed += 1
    finally:
        os.close(descriptor)


def _own_directory(parent: int, name: str, owned: _Owned, done: Settled, depth: int) -> None:
    with _opened(name, below=parent) as directory:
        status = os.fstat(directory)
        if os.fstatvfs(directory).f_flag & os.ST_RDONLY:
            return  # a slot that is still mounted: nobody can change what is in it
        if not _is(status, owned.user):  # root's alone until all in it is; a cut begins it anew
            _settle(directory, ROOT, 0o700, done)
        names = sorted(os.listdir(directory))
        if depth >= MAX_DEPTH or len(names) > MAX_ENTRIES:
            _refuse(done, f"{name} is deeper or larger than any directory of a device")
            names = []
        for entry in names:
            _own(directory, entry, owned, done, depth + 1)
        _settle(directory, owned.user, owned.directory_mode, done)


def _settle(descriptor: int, user: User, mode: int, done: Settled) -> None:
    status = os.fstat(descriptor)
    if _is(status, user) and stat.S_IMODE(status.st_mode) == mode:
        return
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & mode)
    os.fchown(descriptor, user.uid, user.gid)
    os.fchmod(descriptor, mode)
    done.changed += 1


def _refuse(done: Settled, what: str) -> None:
    if len(done.refused) < MAX_TOLD:
        done.refused.append(what)


def _is(status: os.stat_result, user: User) -> bool:
    return (status.st_uid, status.st_gid) == (user.uid, user.gid)
