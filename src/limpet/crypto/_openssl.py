"""The very OpenSSL that Python's `ssl` uses, for the calls that Python does not pass on.

Owns how it is found and how an `SSLContext` is seen from there. A Python that lays its
objects out in another way is an error, never a guess.
"""

import _ssl
import ctypes
import ssl
import sys
from collections.abc import Sequence
from typing import Any

from limpet.errors import Unavailable

__all__ = ["Calls", "context_pointer", "openssl"]

Calls = Sequence[tuple[str, Any, Sequence[Any]]]
"""Functions: name, type of the result, types of the arguments."""

_SSL_CTX_AT = 2 * ctypes.sizeof(ctypes.c_void_p)  # PySSLContext: PyObject_HEAD, SSL_CTX *ctx
_POINTER_CALLS: Calls = (("SSL_CTX_get_options", ctypes.c_uint64, [ctypes.c_void_p]),)


def openssl(calls: Calls) -> Any:
    """The library, with the types of `calls`. Raises `Unavailable` where it cannot be reached."""
    try:
        library = ctypes.CDLL(_ssl.__file__)
        for name, result, arguments in calls:
            function = getattr(library, name)
            function.restype, function.argtypes = result, list(arguments)
    except (AttributeError, OSError) as error:
        raise Unavailable("the OpenSSL of this Python's ssl cannot be reached") from error
    return library


def context_pointer(context: ssl.SSLContext) -> int:
    """The SSL_CTX behind Python's context, after a check that it is one (as google-auth does)."""
    # Free-threaded, or with traced references: said here without `sysconfig`, which reads files
    # and asks for the user's home at its first use.
    if "t" in sys.abiflags or hasattr(sys, "getobjects"):
        raise Unavailable("this build of Python lays its objects out in another way")
    library = openssl(_POINTER_CALLS)
    pointer = ctypes.c_void_p.from_address(id(context) + _SSL_CTX_AT).value
    if not pointer or library.SSL_CTX_get_options(pointer) != int(context.options):
        raise Unavailable("this Python keeps its TLS contexts in another way")
    return pointer
