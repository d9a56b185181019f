"""The digest of an installed tree, and which trees are allowed at all.

Owns the canonical form of a firmware tree: relative names, the executable bit and
contents; never owners, times or other modes, so that two installations of one
image have one digest. Refuses whatever an image cannot express: links, devices,
odd names. It only reads.

Canonical form: for each entry in the order of its path (component by component),
one record `kind (1 byte: d, f or x) | length of name (2 bytes) | name` and, for
files, `size (8 bytes) | SHA-256 of the content`; numbers are big-endian. The
digest is the SHA-256 (FIPS 180-4) of a fixed prefix and all records.
"""

import enum
import hashlib
import os
import re
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.storage import reason_for

__all__ = [
    "MAX_DEPTH",
    "MAX_ENTRIES",
    "MAX_NAME_BYTES",
    "MAX_TREE_BYTES",
    "Entry",
    "Kind",
    "TreeHash",
    "digest_tree",
    "verify_name",
    "walk_tree",
]

MAX_ENTRIES = 20_000
MAX_TREE_BYTES = 1 << 30
MAX_NAME_BYTES = 400
MAX_DEPTH = 24
_READ_BYTES = 1 << 18
_PREFIX = b"limpet-tree-1\0"
_COMPONENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}", re.ASCII)


class Kind(enum.Enum):
    """What an entry of a tree is; the value is its byte in digest and image."""

    DIRECTORY = b"d"
    FILE = b"f"
    EXECUTABLE = b"x"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or directory: its name relative to the tree (with `/`), its kind and size."""

    name: str
    kind: Kind
    size: int  # bytes; 0 for a directory


class TreeHash:
    """The digest of a tree that is given entry by entry, in canonical order."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256(_PREFIX)

    def add(self, entry: Entry, content_sha256: bytes = b"") -> None:
        """Take in the next entry; a file comes with the digest of its content."""
        name = entry.name.encode("ascii")
        self._hash.update(struct.pack(">cH", entry.kind.value, len(name)) + name)
        if entry.kind is not Kind.DIRECTORY:
            self._hash.update(struct.pack(">Q", entry.size) + content_sha256)

    def hexdigest(self) -> str:
        """The digest of what was added so far, in lower-case hexadecimal."""
        return self._hash.hexdigest()


def digest_tree(path: Path) -> str:
    """SHA-256 over the whole tree at `path`, in lower-case hexadecimal.

    Raises `Rejected("tampered-tree")` for anything that firmware cannot hold (links, devices,
    odd names, set-user-id, over a bound) and `Unavailable` if it cannot be read.
    """
    result = TreeHash()
    for entry in walk_tree(path):
        if entry.kind is Kind.DIRECTORY:
            result.add(entry)
        else:
            result.add(entry, _digest_file(path / entry.name, entry.size))
    return result.hexdigest()


def walk_tree(path: Path) -> Iterator[Entry]:
    """Every entry below `path` in canonical order; raises as `digest_tree` does."""
    total = 0
    for count, entry in enumerate(_walk(path, "", 1), start=1):
        total += entry.size
        if count > MAX_ENTRIES or total > MAX_TREE_BYTES:
            raise Rejected("tampered-tree", f"{path} holds more than firmware may")
        yield entry


def verify_name(name: str) -> None:
    """That `name` is a relative path which cannot leave its tree, or `Rejected("malformed")`."""
    parts = name.split("/")
    if (
        len(name) > MAX_NAME_BYTES
        or len(parts) > MAX_DEPTH
        or not all(_COMPONENT.fullmatch(part) for part in parts)
    ):
        raise Rejected("malformed", f"not a name that firmware may use: {name[:80]!a}")


def _walk(base: Path, prefix: str, depth: int) -> Iterator[Entry]:
    for name in _names(base / prefix):
        relative = f"{prefix}{name}"
        entry = _examine(base, relative)
        yield entry
        if entry.kind is Kind.DIRECTORY:
            yield from _walk(base, f"{relative}/", depth + 1)


def _names(path: Path) -> list[str]:
    names: list[str] = []
    try:
        with os.scandir(path) as found:
            for item in found:
                names.append(item.name)
                if len(names) > MAX_ENTRIES:
                    raise Rejected("tampered-tree", f"{path} holds more than firmware may")
    except OSError as error:
        raise _unavailable(error, path) from error
    return sorted(names)


def _examine(base: Path, relative: str) -> Entry:
    path = base / relative
    try:
        verify_name(relative)
        status = path.lstat()
    except Rejected as error:
        raise Rejected("tampered-tree", f"{base}: {error.message}") from error
    except OSError as error:
        raise _unavailable(error, path) from error
    if status.st_mode & (stat.S_ISUID | stat.S_ISGID) and stat.S_ISREG(status.st_mode):
        raise Rejected("tampered-tree", f"{path} has a set-id bit")
    if stat.S_ISDIR(status.st_mode):
        return Entry(relative, Kind.DIRECTORY, 0)
    if stat.S_ISREG(status.st_mode):
        kind = Kind.EXECUTABLE if status.st_mode & stat.S_IXUSR else Kind.FILE
        return Entry(relative, kind, status.st_size)
    raise Rejected("tampered-tree", f"{path} is neither a file nor a directory")


def _digest_file(path: Path, size: int) -> bytes:
    result = hashlib.sha256()
    read = 0
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            while block := file.read(_READ_BYTES):
                read += len(block)
                if read > size:
                    break
                result.update(block)
    except OSError as error:
        raise _unavailable(error, path) from error
    if read != size:
        raise Rejected("tampered-tree", f"{path} changed while it was read")
    return result.digest()


def _unavailable(error: OSError, path: Path) -> Unavailable:
    message = f"cannot read {path}: {(error.strerror or 'failed').lower()}"
    return Unavailable(message, reason=reason_for(error))
