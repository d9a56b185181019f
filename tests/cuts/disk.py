"""What of a life is on the disk when the power fails: the weakest that POSIX lets a file system do.

Owns the model. Each operation since the last sync that covers it may be on the disk or not,
whatever became of the others:

* A name (made, removed, renamed) is durable from the fsync of its directory on; a rename is whole
  or not at all, and an inode is never at a name that it did not reach. Names are in no order.
* Content is durable from the fsync of the file on. Until then any write may be there without any
  other, wholly or to a block's bound, and a size may be there without its bytes: zeros, or what
  lay there before (garbage).
* Modes and owners are durable with the fsync of their file or directory.
* An fsync of a file says nothing of its name.

Every state that ext4 (ordered), XFS or F2FS leave is one of these, as are the states of ALICE's
weakest model (Pillai et al., OSDI 2014). The device's log is left out: it promises little.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.cuts.operations import (
    ROOT_INODE,
    Content,
    Entries,
    Inode,
    Meta,
    Operation,
    Recording,
    Sync,
)

__all__ = ["BLOCK", "Disk", "Node"]

BLOCK = 4096
GARBAGE = 0xA5
LOG = "log"
ALL = "all"


@dataclass(frozen=True, slots=True)
class Node:
    """A file or directory of one state. `key` is the same for equal ones."""

    key: bytes
    is_directory: bool
    mode: int
    owner: tuple[int, int]
    data: bytes = b""
    entries: Mapping[str, "Node"] = field(default_factory=dict)
    is_link: bool = False


@dataclass(slots=True)
class _Attributes:
    mode: int
    owner: tuple[int, int]


class _Bytes:
    """Content, hashed once."""

    __slots__ = ("_digest", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._digest = b""

    @property
    def digest(self) -> bytes:
        if not self._digest:
            self._digest = hashlib.blake2b(self.data, digest_size=16).digest()
        return self._digest


Choice = Mapping[int, str]
"""For inodes with unsynced content: which of the forms that `forms` names is there."""


class Disk:
    """The disk under a life: `apply` its operations in order, ask for the states at any time."""

    def __init__(self, recording: Recording) -> None:
        self._inodes = recording.inodes
        self._names = {n: dict(i.entries) for n, i in recording.inodes.items() if i.is_directory}
        self._data = {n: _Bytes(i.data) for n, i in recording.inodes.items() if not i.is_directory}
        self._attributes = {n: _Attributes(i.mode, i.owner) for n, i in recording.inodes.items()}
        self._pending: dict[int, Operation] = {}
        self._parents: dict[int, set[int]] = {}
        self._clean: dict[int, Node] = {}
        self._known_forms: dict[int, Mapping[str, _Bytes]] = {}
        self._before: dict[int, set[int]] = {}  # of names: what each needs
        self._last: dict[tuple[int, str] | int, int] = {}
        self._loose: list[int] | None = None  # of what is pending, made when asked for
        self._written_to: list[int] | None = None
        self._count = 0
        log = self._names[ROOT_INODE].get(LOG)
        self._log = {-1} if log is None else {log}
        for directory, names in self._names.items():
            for child in names.values():
                self._parents.setdefault(child, set()).add(directory)

    # --- the life

    def apply(self, operation: Operation) -> bool:
        """The next operation; whether it made states that were not possible before."""
        number = self._count
        self._count += 1
        match operation:
            case Sync(inode, before):
                self._synced(inode, before)
                return False
            case Entries(changes):
                for directory, name, child in changes:
                    if child is not None:
                        self._parents.setdefault(child, set()).add(directory)
                        if (directory, name) == (ROOT_INODE, LOG) or directory in self._log:
                            self._log.add(child)
                    self._touch(directory)
                if all(d in self._log or n == LOG for d, n, _ in changes):
                    self._make_durable(operation)
                    return False
            case Content(inode) | Meta(inode):
                self._known_forms.pop(inode, None)
                self._touch(inode)
                if inode in self._log:
                    self._make_durable(operation)
                    return False
            case _:
                return False
        self._pending[number] = operation
        self._loose = self._written_to = None
        if isinstance(operation, Entries):
            self._link(number, operation.changes)
        return True

    def _touch(self, inode: int) -> None:
        self._clean.pop(inode, None)
        for parent in self._parents.get(inode, ()):
            self._touch(parent)

    def _synced(self, inode: int | None, before: int) -> None:
        forced: set[int] = set()
        for number, operation in self._pending.items():
            if number >= before:
                break
            match operation:
                case Entries(changes):
                    covers = any(directory == inode for directory, _, _ in changes)
                case Content(one) | Meta(one):
                    covers = one == inode
                case _:
                    covers = False
            if covers or inode is None:
                forced.add(number)
        self._loose = self._written_to = None
        for number in sorted(self._with_needed(forced)):
            self._make_durable(self._pending.pop(number))
            self._before.pop(number, None)

    def _with_needed(self, numbers: Iterable[int]) -> set[int]:
        """These, and the earlier operations without which they cannot be there: on the same inodes'
        names, and on the very names that they change."""
        found: set[int] = set()
        wanted = list(numbers)
        while wanted:
            number = wanted.pop()
            if number in self._pending and number not in found:
                found.add(number)
                wanted += self._before.get(number, ())
        return found

    def _link(self, number: int, changes: Sequence[tuple[int, str, int | None]]) -> None:
        """Remember which operation was the last on the same names and inodes."""
        about = [key for d, n, child in changes for key in ((d, n), child) if key is not None]
        self._before[number] = {self._last[key] for key in about if key in self._last}
        self._last |= dict.fromkeys(about, number)

    def _make_durable(self, operation: Operation) -> None:
        match operation:
            case Entries(changes):
                for directory, name, child in changes:
                    _set(self._names[directory], name, child)
                    self._touch(directory)
            case Content(inode):
                self._data[inode] = _Bytes(_written(self._data[inode].data, operation))
                self._known_forms.pop(inode, None)
                self._touch(inode)
            case Meta(inode, mode, owner):
                known = self._attributes[inode]
                self._attributes[inode] = _Attributes(
                    known.mode if mode is None else mode, known.owner if owner is None else owner
                )
                self._touch(inode)

    # --- the states

    def loose(self) -> Sequence[int]:
        """The operations on names and modes that may be on the disk or not, in their order."""
        if self._loose is None:
            self._loose = [n for n, one in self._pending.items() if not isinstance(one, Content)]
        return self._loose

    def torn(self) -> Mapping[int, Sequence[str]]:
        """The inodes with unsynced content, and the forms that each may have."""
        return {inode: tuple(self._forms(inode)) for inode in self._written_inodes()}

    def state(self, kept: frozenset[int], choice: Choice, default: str = ALL) -> Node:
        """The root with these of the loose operations (and what they need), and this content."""
        whole = self._with_needed(kept)
        names: dict[int, dict[str, int]] = {}
        attributes: dict[int, _Attributes] = {}
        touched: set[int] = set()
        for number in self.loose():
            operation = self._pending[number]
            if isinstance(operation, Entries):
                touched |= {directory for directory, _, _ in operation.changes}
            elif isinstance(operation, Meta):
                touched.add(operation.inode)
            if number not in whole:
                continue
            match operation:
                case Entries(changes):
                    for directory, name, child in changes:
                        if directory not in names:
                            names[directory] = dict(self._names[directory])
                        _set(names[directory], name, child)
                case Meta(inode, mode, owner):
                    known = attributes.get(inode, self._attributes[inode])
                    attributes[inode] = _Attributes(
                        known.mode if mode is None else mode,
                        known.owner if owner is None else owner,
                    )
        data = {}
        for inode in self._written_inodes():
            forms = self._forms(inode)
            data[inode] = forms.get(choice.get(inode, default), forms[ALL])
            touched.add(inode)
        return _Builder(self, names, attributes, data, touched).node(ROOT_INODE)[0]

    def _written_inodes(self) -> Sequence[int]:
        if self._written_to is None:
            written = (one.inode for one in self._pending.values() if isinstance(one, Content))
            self._written_to = list(dict.fromkeys(written))
        return self._written_to

    def _forms(self, inode: int) -> Mapping[str, _Bytes]:
        """What may be in the file: by name, the likeliest first."""
        if inode not in self._known_forms:
            forms = self._make_forms(inode)
            self._known_forms[inode] = {name: _Bytes(data) for name, data in forms.items()}
        return self._known_forms[inode]

    def _make_forms(self, inode: int) -> Mapping[str, bytes]:
        before = self._data[inode].data
        writes = [
            one for one in self._pending.values() if isinstance(one, Content) and one.inode == inode
        ]
        after = before
        forms = {}
        for number, write in enumerate(writes):
            if number in (0, 1, 2, len(writes) - 1):
                forms[f"first {number}"] = after
            last = after
            after = _written(after, write)
        size = len(after)
        result = {ALL: after, "none": before, "zeros": before[:size].ljust(size, b"\0")}
        result["garbage"] = before[:size].ljust(size, bytes([GARBAGE]))
        if writes[-1].data:
            result["torn"] = _written(last, _torn(writes[-1]))
            result["last block"] = _written(before, _last_block(writes[-1]))
        return result | forms

    # --- for the builder

    def names_of(self, directory: int) -> Mapping[str, int]:
        """The durable names."""
        return self._names[directory]

    def data_of(self, inode: int) -> _Bytes:
        """The durable content."""
        return self._data[inode]

    def attributes_of(self, inode: int) -> _Attributes:
        """The durable mode and owner."""
        return self._attributes[inode]

    def inode(self, number: int) -> Inode:
        """As it was first."""
        return self._inodes[number]

    @property
    def clean(self) -> dict[int, Node]:
        """Subtrees that no unsynced operation concerns."""
        return self._clean


@dataclass(slots=True)
class _Builder:
    """Builds the nodes of one state."""

    disk: Disk
    names: Mapping[int, Mapping[str, int]]
    attributes: Mapping[int, _Attributes]
    data: Mapping[int, _Bytes]
    touched: set[int]

    def node(self, number: int) -> tuple[Node, bool]:
        """The node, and whether nothing unsynced is in it."""
        disk = self.disk
        known = disk.clean.get(number)
        if known is not None:
            return known, True
        attributes = self.attributes.get(number) or disk.attributes_of(number)
        is_clean = number not in self.touched
        if not disk.inode(number).is_directory:
            data = self.data.get(number)
            if data is None:
                data = disk.data_of(number)
            made = _file(attributes, data, is_link=disk.inode(number).is_link)
        else:
            entries = {}
            names = self.names.get(number)
            names = disk.names_of(number) if names is None else names
            for name, child in sorted(names.items()):
                if number == ROOT_INODE and name == LOG:
                    continue
                entries[name], below = self.node(child)
                is_clean = is_clean and below
            made = _directory(attributes, entries)
        if is_clean:
            disk.clean[number] = made
        return made, is_clean


def _file(attributes: _Attributes, content: _Bytes, *, is_link: bool) -> Node:
    head = f"{'l' if is_link else 'f'}{attributes.mode:o} {attributes.owner}\0".encode()
    key = hashlib.blake2b(head + content.digest, digest_size=16).digest()
    return Node(key, False, attributes.mode, attributes.owner, content.data, is_link=is_link)


def _directory(attributes: _Attributes, entries: Mapping[str, Node]) -> Node:
    key = hashlib.blake2b(f"d{attributes.mode:o} {attributes.owner}\0".encode(), digest_size=16)
    for name, node in entries.items():
        key.update(name.encode(errors="surrogateescape") + b"\0" + node.key)
    return Node(key.digest(), True, attributes.mode, attributes.owner, b"", entries)


def _set(names: dict[str, int], name: str, child: int | None) -> None:
    if child is None:
        names.pop(name, None)
    else:
        names[name] = child


def _written(before: bytes, write: Content) -> bytes:
    if write.data is None:
        return before[: write.offset].ljust(write.offset, b"\0")
    start = before[: write.offset].ljust(write.offset, b"\0")
    return start + write.data + before[write.offset + len(write.data) :]


def _torn(write: Content) -> Content:
    """The first part of it: to the middle, at a block's bound where it has several blocks."""
    assert write.data is not None
    half = len(write.data) // 2
    return Content(write.inode, write.offset, write.data[: half // BLOCK * BLOCK or half])


def _last_block(write: Content) -> Content:
    """The end of it, without what comes before."""
    assert write.data is not None
    start = (len(write.data) - 1) // BLOCK * BLOCK or len(write.data) // 2
    return Content(write.inode, write.offset + start, write.data[start:])


def walk(node: Node) -> Iterator[tuple[str, Node]]:
    """Every node below, with its path."""
    for name, child in node.entries.items():
        yield name, child
        for path, below in walk(child):
            yield f"{name}/{path}", below
