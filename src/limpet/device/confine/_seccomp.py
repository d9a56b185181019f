"""seccomp (seccomp(2)): every system call that a process does not need is refused by the kernel.

Owns the filter program, built here without a library from the policy in `_allowed`. An
allow list: what is not granted fails with EPERM, what is newer than the policy with ENOSYS,
as on an older kernel. A call of a foreign architecture kills the process (seccomp(2),
"Caveats").
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Mapping, Sequence

from limpet.device.confine._allowed import COMPARTMENTS, REFUSED, SELF, Argument, Compartment
from limpet.device.confine._calls import ALIKE, NEWEST, NUMBERS

__all__ = ["MACHINES", "allowed", "build", "build_without_networks", "enforce", "install"]

# linux/bpf_common.h, linux/seccomp.h
_LOAD, _JUMP_EQUAL, _JUMP_ABOVE, _JUMP_AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x54, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_ARGUMENTS = 0, 4, 16
_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1
_X32_BIT = 0x40000000
_IO_URING_SETUP = 425  # on every machine; its queues make sockets without socket(2)
_WORD = 0xFFFFFFFF

MACHINES: Mapping[str, tuple[int, int]] = {
    "x86_64": (0xC000003E, 0),
    "aarch64": (0xC00000B7, 1),
}
"""Each machine's number for the kernel (linux/audit.h), and its column in `NUMBERS`."""

Alternatives = Sequence[tuple[Argument, ...]]
"""A call is allowed if all checks of one of these hold; an empty one always does."""


def allowed(compartment: Compartment) -> Mapping[str, Alternatives]:
    """Each call that `compartment` may make, with those that give the same right."""
    found: dict[str, list[tuple[Argument, ...]]] = {}
    for grant in COMPARTMENTS[compartment]:
        for call in grant.calls:
            for name in next((alike for alike in ALIKE if call.name in alike), (call.name,)):
                known = found.setdefault(name, [])
                if call.arguments not in known:
                    known.append(call.arguments)
    return {name: [()] if () in ways else ways for name, ways in sorted(found.items())}


def build(machine: str, compartment: Compartment, *, pid: int) -> bytes:
    """The filter for process `pid` on `machine`, an array of sock_filter.

    Raises `ValueError` for a machine that there is no table for.
    """
    program = _prologue(machine)
    column = MACHINES[machine][1]
    program += [_step(_JUMP_ABOVE, NEWEST, 0, 1), _give(_ERRNO | errno.ENOSYS)]
    for refusal in REFUSED:
        number = NUMBERS[refusal.call.name][column]
        if refusal.error != errno.EPERM and number is not None:
            program += _if_equal(number, [_give(_ERRNO | refusal.error)])
    for name, ways in allowed(compartment).items():
        number = NUMBERS[name][column]
        if number is not None:
            program += _if_equal(number, _verdict(ways, pid))
    program.append(_give(_ERRNO | errno.EPERM))
    return b"".join(program)


def build_without_networks(machine: str, families: Sequence[int]) -> bytes:
    """A filter that refuses sockets of other `families` (socket(2)), and nothing else.

    Raises `ValueError` for a machine that there is no table for.
    """
    program = _prologue(machine)
    program += _if_equal(_IO_URING_SETUP, [_give(_ERRNO | errno.EPERM)])
    check = (Argument(0, tuple(families)),)
    program += _if_equal(NUMBERS["socket"][MACHINES[machine][1]] or 0, _verdict((check,), 0))
    program.append(_give(_ALLOW))
    return b"".join(program)


def install(compartment: Compartment) -> str:
    """Put the filter into force for all threads, for good. Raises `OSError`, `ValueError`.

    The calling thread must have no_new_privs set.
    """
    enforce(build(platform.machine(), compartment, pid=os.getpid()))
    calls = allowed(compartment)
    checked = sum(1 for ways in calls.values() if () not in ways)
    return f"{len(calls)} calls allowed, {checked} of them by their arguments; all others refused"


def enforce(program: bytes) -> None:
    """Put `program`, made for this machine, into force as `install` does. Raises `OSError`."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(program, len(program))
    length = len(program) // 8
    header = struct.pack("HxxxxxxP", length, ctypes.addressof(buffer))  # struct sock_fprog
    number = NUMBERS["seccomp"][MACHINES[platform.machine()][1]]
    if libc.syscall(number, _SET_MODE_FILTER, _FLAG_TSYNC, header) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"seccomp: {os.strerror(code)}")


def _prologue(machine: str) -> list[bytes]:
    """The call's number is loaded; whoever speaks for another architecture is dead by then."""
    if machine not in MACHINES:
        raise ValueError(f"no system call table for {machine}")
    program = [
        _step(_LOAD, _OFFSET_ARCHITECTURE),
        _step(_JUMP_EQUAL, MACHINES[machine][0], 1, 0),
        _give(_KILL),
        _step(_LOAD, _OFFSET_NUMBER),
    ]
    if machine == "x86_64":  # the x32 interface has other numbers for the same calls
        program += [_step(_JUMP_AT_LEAST, _X32_BIT, 0, 1), _give(_KILL)]
    return program


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _give(verdict: int) -> bytes:
    return _step(_RETURN, verdict)


def _if_equal(value: int, then: Sequence[bytes]) -> list[bytes]:
    """Run `then` (which must end in a verdict) if the accumulator is `value`."""
    return [_step(_JUMP_EQUAL, value, 0, len(then)), *then]


def _verdict(ways: Alternatives, pid: int) -> list[bytes]:
    """Allow if all checks of one way hold, refuse if none's do."""
    if () in ways:
        return [_give(_ALLOW)]
    return [step for way in ways for step in _try(way, pid)] + [_give(_ERRNO | errno.EPERM)]


def _try(checks: Sequence[Argument], pid: int) -> list[bytes]:
    """Allow if all of `checks` hold; otherwise fall through to what follows."""
    if not checks:
        return [_give(_ALLOW)]
    first, rest = checks[0], _try(checks[1:], pid)
    offset = _OFFSET_ARGUMENTS + 8 * first.index + (4 if first.high else 0)
    steps = [_step(_LOAD, offset)]
    if first.mask != _WORD:
        steps.append(_step(_AND, first.mask))
    values = [pid if value == SELF else value for value in first.values]
    for behind, value in zip(reversed(range(len(values))), values, strict=True):
        steps.append(_step(_JUMP_EQUAL, value, behind, 0 if behind else len(rest)))
    return steps + rest
