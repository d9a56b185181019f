"""What a process used for its start and needs no more goes back to the system.

Owns the last tidying before a role serves. It is done before the confinement, because later
the system calls for it may be gone.
"""

import ctypes
import gc

__all__ = ["return_memory"]

_ARENA_MAX = -8  # M_ARENA_MAX, mallopt(3)


def return_memory() -> None:
    """Collect what the imports left, hand free memory back, and look at what stays no more."""
    libc = ctypes.CDLL(None)
    gc.collect()
    gc.enable()  # the launcher put it off until here
    gc.freeze()  # modules live as long as the process: no later collection walks through them
    if hasattr(libc, "malloc_trim"):  # glibc; others give back by themselves
        libc.mallopt(_ARENA_MAX, 1)  # a worker's thread needs no heap of its own
        libc.malloc_trim(0)
