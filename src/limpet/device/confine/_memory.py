"""Memory that was written never becomes executable (W^X), for the rest of the process's life.

Owns the kernel's switch for it (PR_SET_MDWE, Linux 6.3) and the trial that shows whether it
holds. Where the seccomp filter is in force, it refuses more: nothing at all becomes
executable, no library is loaded any more, and no call-back of ctypes is made.
"""

import ctypes
import os

from limpet.device.confine._process import prctl

__all__ = ["refuse_gain", "verify_refused"]

_PR_SET_MDWE, _PR_MDWE_REFUSE_EXEC_GAIN = 65, 1  # linux/prctl.h
_READ, _WRITE, _EXECUTE = 1, 2, 4
_PRIVATE_ANONYMOUS = 0x22
_PAGE = os.sysconf("SC_PAGE_SIZE")
_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
)  # fmt: skip
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


def refuse_gain() -> bool:
    """Have the kernel refuse that memory becomes executable; whether it can. Before seccomp."""
    try:
        prctl(_PR_SET_MDWE, _PR_MDWE_REFUSE_EXEC_GAIN)
    except OSError:
        return False
    return True


def verify_refused(*, by_kernel: bool) -> str:
    """Try to write a page and make it executable. Raises `OSError` if that works."""
    if not _is_refused(_READ | _WRITE, then=_READ | _EXECUTE):
        raise OSError("a page that was written can be made executable (needs seccomp or Linux 6.3)")
    new = _is_refused(_READ | _EXECUTE, then=None)
    what = "no memory becomes executable" if new else "no memory that was written does"
    return f"tried: {what}" + (", by the kernel as well (PR_SET_MDWE)" if by_kernel else "")


def _is_refused(rights: int, *, then: int | None) -> bool:
    """Whether a page with `rights` is refused, or `then` on it."""
    place = _libc.mmap(None, _PAGE, rights, _PRIVATE_ANONYMOUS, -1, 0)
    if place == _FAILED:
        if then is not None:
            raise OSError(ctypes.get_errno(), f"mmap: {os.strerror(ctypes.get_errno())}")
        return True
    refused = then is not None and _libc.mprotect(place, _PAGE, then) != 0
    _libc.munmap(place, _PAGE)
    return refused
