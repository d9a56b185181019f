"""From calls to operations: the replay of names, descriptors and offsets.

Knows nothing of what survives a power cut.
"""

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.cuts.answers import Answers
from tests.cuts.calls import Call
from tests.cuts.operations import (
    LEFT_OUT,
    ROOT_INODE,
    Content,
    Entries,
    Inode,
    Meta,
    Operation,
    Recording,
    Sync,
)

__all__ = ["record"]

UMASK = 0o022


@dataclass(slots=True)
class _Open:
    inode: int
    position: int = 0
    appends: bool = False


@dataclass(slots=True)
class _File:
    """An inode as the running system sees it."""

    is_directory: bool
    owner: tuple[int, int]
    size: int = 0
    entries: dict[str, int] = field(default_factory=dict)


def record(calls: Iterable[Call], *, root: Path, before: Path, marks: Path) -> Recording:
    """The operations that `calls` made below `root`, which at first was as `before` is now.

    `marks` is the file whose lines become `Mark`s. Raises `AssertionError` for a call that
    changed something below `root` in a way that is not understood: nothing is left out silently.
    """
    return _Recorder(root, marks).run(calls, before)


class _Recorder:
    def __init__(self, root: Path, marks: Path) -> None:
        self._root, self._marks = str(root), str(marks)
        self._inodes: dict[int, Inode] = {}
        self._files: dict[int, _File] = {}
        self._open: dict[tuple[int, int], _Open] = {}
        self._operations: list[Operation] = []
        self._lengths: list[int] = []  # number of operations after each call
        self._answers = Answers()

    def run(self, calls: Iterable[Call], before: Path) -> Recording:
        self._scan(before)
        is_on = False
        for call in calls:
            if call.name in ("sendto", "write", "sendmsg", "writev") and call.ports():
                self._answers.sent(call, len(self._operations))
            elif call.name == "write" and call.descriptor()[1] == self._marks:
                for line in call.strings()[0].splitlines():
                    mark = json.loads(line)
                    is_on = is_on or mark["mark"] == "power-on"
                    at = len(self._operations)
                    self._operations += self._answers.marked(mark, call.process, at)
            elif is_on and self._root in self._decoded(call):
                self._operations += self._of(call)
            self._lengths.append(len(self._operations))
        return Recording(self._inodes, tuple(self._answers.among(self._operations)))

    def _decoded(self, call: Call) -> str:
        """Enough of the call to see whether it may concern the root."""
        if call.name in ("write", "pwrite64", "lseek", "fsync", "ftruncate", "fchmod", "mmap"):
            found = re.search(r"<((?:\\x[0-9a-f]{2})*)>", call.text[:4000])
            return os.fsdecode(bytes.fromhex(found[1].replace("\\x", ""))) if found else ""
        hexed = re.findall(r"(?:\\x[0-9a-f]{2})+", call.text)
        return " ".join(os.fsdecode(bytes.fromhex(one.replace("\\x", ""))) for one in hexed)

    # --- the tree before

    def _scan(self, before: Path) -> None:
        self._add(before, ROOT_INODE)

    def _add(self, path: Path, number: int) -> None:
        status = path.lstat()
        owner, mode = (status.st_uid, status.st_gid), stat.S_IMODE(status.st_mode)
        if not stat.S_ISDIR(status.st_mode):
            assert stat.S_ISREG(status.st_mode), path
            data = path.read_bytes()
            self._inodes[number] = Inode(number, False, mode, owner, data)
            self._files[number] = _File(False, owner, len(data))
            return
        self._files[number] = _File(True, owner)
        entries = {}
        for child in sorted(path.iterdir()):
            if number == ROOT_INODE and child.name in LEFT_OUT:
                continue
            entries[child.name] = len(self._files)
            self._add(child, entries[child.name])
        self._files[number].entries = entries
        self._inodes[number] = Inode(number, True, mode, owner, b"", tuple(entries.items()))

    # --- what was done

    def _of(self, call: Call) -> Iterator[Operation]:
        if call.name == "fallocate" and self._lookup(call.descriptor()[1]) is None:
            return  # the room for updates, which is left out
        handler = getattr(self, f"_{_ALIKE.get(call.name, call.name)}", None)
        assert handler is not None, f"{call.name} below the device's directory: {call.text[:300]}"
        yield from handler(call)

    def _lookup(self, path: str) -> tuple[int, str, int | None] | None:
        """(directory, name, inode) of an absolute path; None if it is not ours to follow."""
        if not path.startswith(self._root + "/"):
            assert path.startswith("/") or ":[" in path, f"a relative path: {path}"
            return None
        parts = path[len(self._root) + 1 :].split("/")
        if parts[0] in LEFT_OUT:
            return None
        directory = ROOT_INODE
        for part in parts[:-1]:
            directory = self._files[directory].entries[part]
        return directory, parts[-1], self._files[directory].entries.get(parts[-1])

    def _inode(self, path: str) -> int | None:
        if path == self._root:
            return ROOT_INODE
        found = self._lookup(path.removesuffix("/"))
        return found[2] if found else None

    def _at(self, call: Call, number: int, path: str) -> str:
        if path.startswith("/"):
            return path
        base = call.descriptor(number)[1]
        return f"{base}/{path}"

    def _opened(self, call: Call) -> _Open | None:
        """The description behind the first argument: as it was opened, or by its path."""
        descriptor, path = call.descriptor()
        found = self._open.get((call.process, descriptor))
        if found is not None and "(deleted)" in call.text[: len(path) * 4 + 40]:
            return found
        if path == self._root:
            return _Open(ROOT_INODE)
        place = self._lookup(path)
        if place is None:
            return None
        assert place[2] is not None, f"{call.name} on {path}, which is not there"
        return found if found is not None and found.inode == place[2] else _Open(place[2], -1)

    def _new(self, *, is_directory: bool, mode: int, directory: int) -> int:
        number = len(self._files)
        owner = self._files[directory].owner  # of the role whose directory it is
        self._files[number] = _File(is_directory, owner)
        self._inodes[number] = Inode(number, is_directory, mode & ~UMASK, owner)
        return number

    def _openat(self, call: Call) -> Iterator[Operation]:
        path = self._at(call, 0, call.paths()[0]) if call.name == "openat" else call.paths()[0]
        if path == self._root or path.endswith("/.") or path == self._root + "/":
            self._open[call.process, call.result] = _Open(ROOT_INODE)
            return
        place = self._lookup(path.removesuffix("/"))
        if place is None:
            self._open.pop((call.process, call.result), None)
            return
        directory, name, inode = place
        if inode is None:
            assert "O_CREAT" in call.text, f"an unknown file was opened: {path}"
            found = re.search(r", (0[0-7]*)$", call.text)
            mode = int(found[1], 8) if found else 0o600
            inode = self._new(is_directory=False, mode=mode, directory=directory)
            self._files[directory].entries[name] = inode
            yield Entries(((directory, name, inode),))
        elif self._inodes[inode].is_link:
            return  # its target comes by its own path, in later calls
        elif "O_TRUNC" in call.text and self._files[inode].size:
            self._files[inode].size = 0
            yield Content(inode, 0, None)
        self._open[call.process, call.result] = _Open(inode, 0, "O_APPEND" in call.text)

    def _write(self, call: Call) -> Iterator[Operation]:
        opened = self._opened(call)
        if opened is None:
            return
        data = call.strings()[-1][: call.result]
        if call.name == "pwrite64":
            offset = call.number(-1)
        else:
            assert opened.position >= 0, f"a write at an unknown position: {call.text[:300]}"
            offset = self._files[opened.inode].size if opened.appends else opened.position
            opened.position = offset + len(data)
        size = max(self._files[opened.inode].size, offset + len(data))
        self._files[opened.inode].size = size
        yield Content(opened.inode, offset, data)

    def _lseek(self, call: Call) -> Iterator[Operation]:
        opened = self._opened(call)
        if opened is not None:
            opened.position = call.result
        yield from ()

    def _ftruncate(self, call: Call) -> Iterator[Operation]:
        opened = self._opened(call)
        if opened is not None:
            size = call.number(1)
            self._files[opened.inode].size = size
            yield Content(opened.inode, size, None)

    def _mkdirat(self, call: Call) -> Iterator[Operation]:
        path = self._at(call, 0, call.paths()[0]) if call.name == "mkdirat" else call.paths()[0]
        place = self._lookup(path)
        if place is not None:
            directory, name, _ = place
            mode = call.number(-1)
            made = self._new(is_directory=True, mode=mode, directory=directory)
            self._files[directory].entries[name] = made
            yield Entries(((directory, name, made),))

    def _unlinkat(self, call: Call) -> Iterator[Operation]:
        path = self._at(call, 0, call.paths()[0]) if call.name == "unlinkat" else call.paths()[0]
        place = self._lookup(path)
        if place is not None:
            directory, name, _ = place
            del self._files[directory].entries[name]
            yield Entries(((directory, name, None),))

    def _renameat(self, call: Call) -> Iterator[Operation]:
        old, new = call.paths()
        if call.name != "rename":
            old, new = self._at(call, 0, old), self._at(call, 2, new)
        source, target = self._lookup(old), self._lookup(new)
        if source is None and target is None:
            return
        assert source is not None, f"renamed from elsewhere: {old}"
        assert target is not None, f"renamed to elsewhere: {new}"
        assert source[2] is not None, f"an unknown file was renamed: {old}"
        del self._files[source[0]].entries[source[1]]
        self._files[target[0]].entries[target[1]] = source[2]
        yield Entries(((*source[:2], None), (*target[:2], source[2])))

    def _linkat(self, call: Call) -> Iterator[Operation]:
        old, new = call.paths()
        if call.name == "linkat":
            old, new = self._at(call, 0, old), self._at(call, 2, new)
        source, target = self._lookup(old), self._lookup(new)
        if source is None and target is None:
            return
        assert source is not None, f"linked from elsewhere: {old}"
        assert target is not None, f"linked to elsewhere: {new}"
        assert source[2] is not None, f"an unknown file was linked: {old}"
        self._files[target[0]].entries[target[1]] = source[2]
        yield Entries(((*target[:2], source[2]),))

    def _symlinkat(self, call: Call) -> Iterator[Operation]:
        target, path = call.strings()[0], call.paths()[1]
        place = self._lookup(self._at(call, 1, path) if call.name == "symlinkat" else path)
        if place is not None:
            directory, name, _ = place
            made = self._new(is_directory=False, mode=0o777, directory=directory)
            first = self._inodes[made]
            self._inodes[made] = replace(first, mode=0o777, data=target, is_link=True)
            self._files[directory].entries[name] = made
            yield Entries(((directory, name, made),))

    def _mknodat(self, call: Call) -> Iterator[Operation]:
        assert self._lookup(call.paths()[0]) is None, f"a pipe is made: {call.paths()}"
        yield from ()

    def _fchmod(self, call: Call) -> Iterator[Operation]:
        opened = self._opened(call)
        if opened is not None:
            yield Meta(opened.inode, mode=call.number(1))

    def _fchmodat(self, call: Call) -> Iterator[Operation]:
        path = call.paths()[0]
        inode = self._inode(self._at(call, 0, path) if call.name == "fchmodat" else path)
        if inode is not None:
            yield Meta(inode, mode=call.number(2 if call.name == "fchmodat" else 1))

    def _fchown(self, call: Call) -> Iterator[Operation]:
        opened = self._opened(call)
        if opened is not None:
            yield from self._owned(opened.inode, call.number(1), call.number(2))

    def _fchownat(self, call: Call) -> Iterator[Operation]:
        path = call.paths()[0]
        at = call.name == "fchownat"
        inode = self._inode(self._at(call, 0, path) if at else path)
        if inode is not None:
            yield from self._owned(inode, call.number(2 if at else 1), call.number(3 if at else 2))

    def _owned(self, inode: int, uid: int, gid: int) -> Iterator[Operation]:
        self._files[inode].owner = (uid, gid)
        yield Meta(inode, owner=(uid, gid))

    def _fsync(self, call: Call) -> Iterator[Operation]:
        opened = self._opened(call)
        if opened is not None:
            yield Sync(opened.inode, self._length_at(call))

    def _sync(self, call: Call) -> Iterator[Operation]:
        yield Sync(None, self._length_at(call))

    def _length_at(self, call: Call) -> int:
        return self._lengths[call.entered - 1] if call.entered else 0

    def _mmap(self, call: Call) -> Iterator[Operation]:
        shared = "MAP_SHARED" in call.text and "PROT_WRITE" in call.text
        assert not shared, f"written through memory: {call.text[:300]}"
        yield from ()

    def _dup(self, call: Call) -> Iterator[Operation]:
        opened = self._opened(call)
        if opened is not None:
            self._open[call.process, call.result] = opened
        yield from ()

    def _clone(self, call: Call) -> Iterator[Operation]:
        yield from ()


_ALIKE = {
    "open": "openat",
    "pwrite64": "write",
    "mkdir": "mkdirat",
    "unlink": "unlinkat",
    "rmdir": "unlinkat",
    "rename": "renameat",
    "renameat2": "renameat",
    "link": "linkat",
    "symlink": "symlinkat",
    "mknod": "mknodat",
    "chmod": "fchmodat",
    "chown": "fchownat",
    "lchown": "fchownat",
    "fdatasync": "fsync",
    "syncfs": "sync",
    "dup2": "dup",
    "dup3": "dup",
    "sendto": "clone",
    "sendmsg": "clone",
}
"""Calls that one handler reads."""
