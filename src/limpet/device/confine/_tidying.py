"""What a process used for its start and needs no more goes back to the system.

Owns the last tidying before a role serves. It is done before the confinement, because later
the system calls for it may be gone.
"""

import ctypes
import gc

__all__ = ["return_memory"]


def return_memory() -> None:
    """Collect what the imports left, hand free memory back, and look at what stays no more."""
    gc.collect()
    gc.freeze()  # modules live as long as the process: no later collection walks through them
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc; others give back by themselves
    if trim is not None:
        trim(0)
