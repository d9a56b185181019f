"""The kernel's filter machine (seccomp(2), linux/filter.h), as far as limpet's filters use it.

Owns running a filter program over one system call, instruction by instruction, so that a
test can ask the very program that a process is confined by.
"""

import struct
from collections.abc import Sequence

__all__ = ["ALLOW", "KILL", "refusal", "run"]

ALLOW, KILL = 0x7FFF0000, 0x80000000
_ERRNO, _ACTION = 0x00050000, 0xFFFF0000
_MOST_STEPS = 4096  # as the kernel's BPF_MAXINSNS


def run(program: bytes, audit: int, number: int, arguments: Sequence[int] = ()) -> int:
    """The verdict on call `number` of the architecture `audit` with up to six `arguments`."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=iIQ6Q", number, audit, 0, *(value % (1 << 64) for value in padded))
    accumulator, at = 0, 0
    for _ in range(_MOST_STEPS):
        code, if_true, if_false, value = struct.unpack_from("=HBBI", program, 8 * at)
        at += 1
        if code == 0x20:  # BPF_LD | BPF_W | BPF_ABS
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x54:  # BPF_ALU | BPF_AND | BPF_K
            accumulator &= value
        elif code in (0x15, 0x25, 0x35):  # BPF_JMP | BPF_JEQ, BPF_JGT, BPF_JGE | BPF_K
            holds = {0x15: accumulator == value, 0x25: accumulator > value}
            at += if_true if holds.get(code, accumulator >= value) else if_false
        elif code == 0x06:  # BPF_RET | BPF_K
            return int(value)
        else:
            raise AssertionError(f"instruction {code:#x} at {at - 1}")
    raise AssertionError("the program does not end")


def refusal(verdict: int) -> int:
    """The error number of a verdict that refuses; 0 for one that allows."""
    if verdict & _ACTION == _ERRNO:
        return verdict & 0xFFFF
    assert verdict == ALLOW, hex(verdict)
    return 0
