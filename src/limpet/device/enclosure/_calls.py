"""The system calls that Python has no function for. Each raises `OSError` with its name."""

import ctypes
import os

__all__ = ["call", "prctl"]

_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> int:
    """The C library's function `name`; `arguments` as ctypes takes them. Raises `OSError`."""
    result = int(getattr(_libc, name)(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number).lower()}")
    return result


def prctl(option: int, *arguments: int) -> int:
    """prctl(2). Raises `OSError`."""
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    return call("prctl", ctypes.c_int(option), *padded)
