"""What a traced life did to one directory, as a list of operations on inodes.

Owns the operations' types. Knows nothing of calls, and nothing of what survives a power cut.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "LEFT_OUT",
    "ROOT_INODE",
    "Content",
    "Entries",
    "Inode",
    "Mark",
    "Meta",
    "Operation",
    "Recording",
    "Sync",
    "paths_of",
]

ROOT_INODE = 0
LEFT_OUT = frozenset({"run", "stderr", "reserve"})
"""Below the device's directory: what every start makes anew, and a test's own."""


@dataclass(frozen=True, slots=True)
class Inode:
    """A file or directory as it was first: before the life, or when it was made."""

    number: int
    is_directory: bool
    mode: int
    owner: tuple[int, int]
    data: bytes = b""  # of a link: where it leads
    entries: tuple[tuple[str, int], ...] = ()
    is_link: bool = False


@dataclass(frozen=True, slots=True)
class Entries:
    """Names that changed at once: (directory, name, inode or None). A rename is two of them."""

    changes: tuple[tuple[int, str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that were written; without `data` the size that was set."""

    inode: int
    offset: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Meta:
    """A mode or an owner that was set."""

    inode: int
    mode: int | None = None
    owner: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Sync:
    """An fsync that returned; it covers the operations numbered below `before`. None: of all."""

    inode: int | None
    before: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What the owner, the vendor or the device's log said at this moment."""

    what: Mapping[str, Any]


Operation = Entries | Content | Meta | Sync | Mark


@dataclass(frozen=True, slots=True)
class Recording:
    """A directory before its life, and all that happened to it."""

    inodes: Mapping[int, Inode]  # of before and of later
    operations: tuple[Operation, ...]


def paths_of(recording: Recording) -> Mapping[int, set[str]]:
    """Every path that each inode ever had, below the device's directory."""
    parents: dict[int, set[tuple[int, str]]] = {}
    for number, inode in recording.inodes.items():
        for name, child in inode.entries:
            parents.setdefault(child, set()).add((number, name))
    for operation in recording.operations:
        if isinstance(operation, Entries):
            for directory, name, named in operation.changes:
                if named is not None:
                    parents.setdefault(named, set()).add((directory, name))
    known: dict[int, set[str]] = {ROOT_INODE: {""}}

    def of(number: int) -> set[str]:
        if number not in known:
            known[number] = {
                f"{above}/{name}".lstrip("/")
                for directory, name in parents.get(number, ())
                for above in of(directory)
            }
        return known[number]

    return {number: of(number) for number in recording.inodes}
