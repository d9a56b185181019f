"""What strace(1) wrote, as calls in the order in which they returned.

Owns the tracer's options and its notation: interrupted lines, hexadecimal strings, descriptors
with their paths. Knows processes and their threads, and no file system.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["STRACE", "Call", "read_calls"]

_WRITES = "write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range,splice"
_SIZES = "ftruncate,truncate,fallocate"
_NAMES = (
    "open,openat,openat2,creat,mkdir,mkdirat,rmdir,unlink,unlinkat,"
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,mknod,mknodat"
)
_MODES = "chmod,fchmod,fchmodat,fchmodat2,chown,lchown,fchown,fchownat"
_SYNCS = "fsync,fdatasync,sync,syncfs,sync_file_range,msync"
_OTHERS = "lseek,mmap,dup,dup2,dup3,clone,clone3,fork,vfork,sendto,sendmsg,io_uring_setup"

_TRACED = ",".join((_WRITES, _SIZES, _NAMES, _MODES, _SYNCS, _OTHERS)).split(",")

STRACE = (
    *("strace", "-f", "-qq", "--seccomp-bpf", "-yy", "-xx", "-s", str(8 << 20)),
    *("-e", "signal=none", "-e"),
    "trace=" + ",".join(f"?{name}" for name in _TRACED),  # "?": where the machine has it
)
"""The tracer; `-o FILE` and a program follow. All of a call's data are written out."""

_LINE = re.compile(r"\A([0-9]+) +(?:([a-z0-9_]+)\(|<\.\.\. ([a-z0-9_]+) resumed>)")
_UNFINISHED = " <unfinished ...>"
_RESULT = re.compile(r"\)\s+= (-?[0-9]+)")
_DESCRIPTOR = re.compile(r"\A(-?[0-9]+|AT_FDCWD)(?:<((?:\\x[0-9a-f]{2})*)>)?")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_PORTS = re.compile(r"<TCP[^\[]*:\[.*:([0-9]+)->.*:([0-9]+)\]>")
_PROCESS_CALLS = frozenset({"clone", "clone3", "fork", "vfork"})


@dataclass(frozen=True, slots=True)
class Call:
    """One call that succeeded. `entered` is the number of calls that had returned before it began,
    `process` the id of the process whose thread made it."""

    entered: int
    process: int
    name: str
    text: str  # the arguments, as strace writes them
    result: int

    def descriptor(self, number: int = 0) -> tuple[int, str]:
        """The `number`-th of the arguments as descriptor and path."""
        found = _DESCRIPTOR.match(self._arguments()[number])
        assert found, self.text[:200]
        word = -100 if found[1] == "AT_FDCWD" else int(found[1])
        return word, os.fsdecode(_unhex(found[2] or ""))

    def strings(self) -> list[bytes]:
        """Every string among the arguments; what was cut off would be an error of ours."""
        found = _STRING.findall(self.text)
        assert not any(dots for _, dots in found), f"strace cut a string of {self.name} off"
        return [_unhex(text) for text, _ in found]

    def paths(self) -> list[str]:
        """The strings as paths."""
        return [os.fsdecode(one) for one in self.strings()]

    def ports(self) -> tuple[int, int] | None:
        """Of a TCP connection that the first argument is: ours and the peer's."""
        found = _PORTS.search(self._arguments()[0])
        return (int(found[1]), int(found[2])) if found else None

    def number(self, index: int) -> int:
        """The argument as a number, octal where it is written so."""
        word = self._arguments()[index]
        return int(word, 8) if re.fullmatch("0[0-7]+", word) else int(word, 0)

    def _arguments(self) -> list[str]:
        return self.text.split(", ")


def read_calls(trace: Path) -> Iterator[Call]:
    """The successful calls, in the order of their returns."""
    begun: dict[int, tuple[str, str, int]] = {}
    leader: dict[int, int] = {}
    count = 0
    with trace.open(errors="replace") as lines:
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                continue
            thread = int(found[1])
            rest = line[found.end() :].rstrip("\n")
            name, text, entered = found[2], rest, count
            if name is None:
                if thread not in begun:
                    continue
                name, first, entered = begun.pop(thread)
                text = first + rest
            if text.endswith(_UNFINISHED):
                begun[thread] = (name, text.removesuffix(_UNFINISHED), entered)
                continue
            result = _last_result(text)
            if result is None or result[1] < 0:
                continue
            call = Call(entered, leader.get(thread, thread), name, text[: result[0]], result[1])
            if name in _PROCESS_CALLS and "CLONE_THREAD" in text:
                leader[call.result] = call.process
            count += 1
            yield call


def _last_result(text: str) -> tuple[int, int] | None:
    start = text.rfind(")", 0, text.rfind(" = "))
    found = _RESULT.match(text, start)
    return (start, int(found[1])) if found else None


def _unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
