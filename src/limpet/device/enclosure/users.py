"""Which user ids the roles of a device run as.

Owns the choice, which is the same at every start: named system users where the system has
them, a block of numbers given to boot, or a block that belongs to the device's path. A lock
sees to it that no two running devices of a machine have an id in common.
"""

import contextlib
import fcntl
import grp
import hashlib
import os
import pwd
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from limpet.device.enclosure._capabilities import Capability, permitted
from limpet.device.enclosure._user import SERVING, User
from limpet.errors import Rejected, Unavailable
from limpet.storage import make_directory

__all__ = [
    "FIRST_ID",
    "Users",
    "decide_users",
    "find_users",
    "hold_users",
    "may_become",
    "named_users",
]

PREFIX = "limpet-"
"""A system user for a role is called so: limpet-keeper."""

FIRST_ID, BLOCKS, BLOCK = 0x70000000, 1 << 24, 8
"""Numbers that neither distributions nor systemd give out (systemd, UIDS-GIDS: 1879048192 to
2147483647 are unused), in blocks of eight, of which a device uses the first six."""

LAST_ID = 0x7FFFFFFE
LOCKS = Path("/run/limpet")


Users = Mapping[str, User]
"""The ids of every serving role, by its name."""


def named_users() -> Users | None:
    """The system's users `limpet-keeper` and so on; None if there is none of them.

    Raises `Rejected("users-incomplete")` if some are missing, or one is root or shared.
    """
    found = {}
    for role in SERVING:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(PREFIX + role)
            found[role] = User(uid=entry.pw_uid, gid=entry.pw_gid)
    if not found:
        return None
    missing = ", ".join(PREFIX + role for role in SERVING if role not in found)
    if missing:
        raise Rejected(
            "users-incomplete",
            f"this system has users for some roles, but not: {missing}",
            hint="add them (systemd-sysusers), or remove the others",
        )
    _verify_apart(found)
    return found


def decide_users(root: Path, *, first: int | None, named: Users | None) -> Users:
    """The ids for the device at `root`: from `first` on, the named ones, or its own block.

    The block follows from the device's path, so no record of it can be lost or forged, and two
    devices have the same only if 24 bits of a hash agree; `hold_users` then refuses the second.
    Raises `Rejected("bad-user-id")`.
    """
    if first is None and named is not None:
        return named
    if first is None:
        digest = hashlib.sha256(os.fsencode(os.path.realpath(root))).digest()
        first = FIRST_ID + int.from_bytes(digest[:8], "big") % BLOCKS * BLOCK
    if not 0 < first <= LAST_ID - len(SERVING):
        raise Rejected("bad-user-id", f"{first} is no first user id", hint="choose a free block")
    ids = range(first, first + len(SERVING))
    for number in ids:
        _verify_nobodys(number)
    return {role: User(uid=number, gid=number) for role, number in zip(SERVING, ids, strict=True)}


def find_users(root: Path, *, first: int | None, given: bool = False) -> Users | None:
    """The ids for the device at `root`, as `decide_users` has them; None if there can be none:
    an ordinary user started it, or a root whom the system lets take no other id (in a container).
    `given`: another gives them to the roles, so that this process need not be able to.

    Raises as `decide_users` and `named_users`.
    """
    if os.geteuid() != 0:
        return None
    users = decide_users(root, first=first, named=named_users())
    return users if given or all(may_become(user) for user in users.values()) else None


def may_become(user: User) -> bool:
    """Whether this process may take these ids: it has the capabilities, and they are mapped into
    its user namespace (user_namespaces(7)), which in a container they need not be."""
    own = Path("/proc/self")
    return (
        {Capability.SETUID, Capability.SETGID} <= permitted()
        and _is_mapped(own / "uid_map", user.uid)
        and _is_mapped(own / "gid_map", user.gid)
        and (own / "setgroups").read_text().strip() == "allow"
    )


def _is_mapped(table: Path, number: int) -> bool:
    for line in table.read_text().splitlines():
        first, _, count = map(int, line.split())
        if first <= number < first + count:
            return True
    return False


@contextlib.contextmanager
def hold_users(users: Users, root: Path, *, locks: Path = LOCKS) -> Iterator[Sequence[int]]:
    """Hold the ids for the device at `root` while it runs, by the descriptors that this gives.

    Raises `Unavailable` if another device of this machine runs with one of them.
    """
    held = []
    try:
        make_directory(locks, mode=0o755)
        for user in users.values():
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            held.append(os.open(locks / f"user-{user.uid}", flags, 0o600))
            try:
                fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                holder = os.read(held[-1], 4096).decode("utf-8", "replace").strip()
                raise Unavailable(
                    f"user id {user.uid} is in use by the device in {holder or 'another place'}",
                    hint="start this one with --first-user-id N, for a block of its own",
                ) from None
            os.ftruncate(held[-1], 0)
            os.pwrite(held[-1], os.fsencode(root), 0)
        yield held
    except OSError as error:
        raise Unavailable(f"cannot lock user ids in {locks}: {error.strerror}") from error
    finally:
        for descriptor in held:
            os.close(descriptor)


def _verify_apart(users: Users) -> None:
    for kind, ids in (
        ("user", [user.uid for user in users.values()]),
        ("group", [user.gid for user in users.values()]),
    ):
        if 0 in ids or len(set(ids)) != len(ids):
            raise Rejected(
                "users-incomplete",
                f"the roles' users share a {kind}, or have root's",
                hint="give each a user and a group of its own",
            )


def _verify_nobodys(number: int) -> None:
    """A number that a person has would give that person the role's files."""
    for kind, look_up in (("user", pwd.getpwuid), ("group", grp.getgrgid)):
        with contextlib.suppress(KeyError):
            name = look_up(number)[0]
            raise Rejected(
                "bad-user-id",
                f"{number} is the {kind} {name} of this system",
                hint="choose a free block with --first-user-id N",
            )
