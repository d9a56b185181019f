"""What strace(1) says of a device's processes, from the moment on that each was confined.

Owns reading its files, one for each thread: who started whom, which compartment a process
is in (it takes the compartment's name right before its filter), which calls it made since.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from limpet.device.confine._allowed import Compartment

__all__ = ["STRACE", "Made", "read_trace"]

_IN_WORDS = "execve,openat,clone,clone3,fork,vfork,seccomp,prctl"
STRACE = ("strace", "-f", "-ff", "-qq", "-s", "64", "-e", f"raw=!{_IN_WORDS}", "-o")
"""The tracer; the start of the files' names and a program follow. Arguments are raw numbers."""

_CALL = re.compile(r"\A([a-z0-9_]+)\((.*)\)\s+= ")
_CHILD = re.compile(r"\A(?:clone3?|v?fork)\((.*)\) = ([0-9]+)$")
_NAMED = re.compile(r'\Aprctl\(PR_SET_NAME, "([a-z-]+)"')
_NUMBER = re.compile(r"\A(?:0x[0-9a-f]+|[0-9]+)\Z")
_FILTERED = "seccomp(SECCOMP_SET_MODE_FILTER"
_TRIED = re.compile(r"\Ammap\(0, 0x[0-9a-f]+, 0x5, 0x22, ")
"""The last call of the trial at the end of confinement (`_memory.verify_refused`)."""

_THREAD_FLAGS, _NAME_OPTION = 0x003D0F00, 15


@dataclass(frozen=True, slots=True)
class Made:
    """One call that a confined process made, or tried."""

    compartment: Compartment
    pid: int
    name: str
    arguments: tuple[int, ...]
    line: str


@dataclass(frozen=True, slots=True)
class _Thread:
    number: int
    lines: Sequence[str]


def read_trace(place: Path, stem: str) -> Iterator[Made]:
    """Every call since confinement in the files `place`/`stem`.TID."""
    threads = [
        _Thread(int(file.suffix[1:]), file.read_text(errors="replace").splitlines())
        for file in sorted(place.glob(f"{stem}.*"))
    ]
    starter = {}
    for thread in threads:
        for line in thread.lines:
            if (child := _CHILD.match(line)) and "CLONE_THREAD" in child[1]:
                starter[int(child[2])] = thread.number
    by_number = {thread.number: thread for thread in threads}
    for thread in threads:
        first = by_number[_leader(thread.number, starter)]
        compartment = _compartment(first)
        if compartment is not None:
            since = thread.lines if thread is not first else _after_confinement(first)
            yield from _made(compartment, first.number, since)


def _leader(number: int, starter: dict[int, int]) -> int:
    while number in starter:
        number = starter[number]
    return number


def _compartment(thread: _Thread) -> Compartment | None:
    """None: this process is never confined."""
    if not any(line.startswith(_FILTERED) for line in thread.lines):
        return None
    names = [named[1] for line in thread.lines if (named := _NAMED.match(line))]
    return next((c for c in Compartment if names and c.value == names[-1]), None)


def _after_confinement(thread: _Thread) -> Sequence[str]:
    filtered = [at for at, line in enumerate(thread.lines) if line.startswith(_FILTERED)]
    tried = [at for at, line in enumerate(thread.lines) if at > filtered[-1] and _TRIED.match(line)]
    return thread.lines[tried[0] + 1 :] if tried else thread.lines[filtered[-1] + 1 :]


def _made(compartment: Compartment, pid: int, lines: Sequence[str]) -> Iterator[Made]:
    for line in lines:
        call = _CALL.match(line)
        if call is None or "resumed>" in line:  # a signal, an exit; or the end of a call
            continue
        yield Made(compartment, pid, call[1], _arguments(call[1], call[2]), line)


def _arguments(name: str, text: str) -> tuple[int, ...]:
    if name == "clone":
        return (_THREAD_FLAGS if "CLONE_THREAD" in text and "CLONE_NEW" not in text else 0,)
    if name == "prctl":
        return (_NAME_OPTION if text.startswith("PR_SET_NAME") else 0,)
    if name in _IN_WORDS.split(","):
        return ()
    words = text.split(", ")
    return tuple(int(word, 0) if _NUMBER.match(word) else 0 for word in words)
