"""TLS sessions that a server remembers, so that a peer that comes again shows them in few bytes.

Owns what OpenSSL keeps of them: how many and how long. Kept in the server's memory and named by
32 bytes, not sealed into a ticket under a key of its own: no such key exists that, once stolen,
would open what it sealed. Each resumption agrees on a new secret (psk_dhe_ke; RFC 8446, 4.2.9), and
there are no early data, so a client that shows one twice gains nothing; ours shows each once.
"""

import ctypes
import ssl

from limpet.crypto._openssl import Calls, context_pointer, openssl
from limpet.errors import Unavailable

__all__ = ["keep_sessions"]

_SET_CACHE_SIZE = 42  # SSL_CTRL_SET_SESS_CACHE_SIZE
_P, _I, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_long
_CALLS: Calls = (
    ("SSL_CTX_ctrl", _L, [_P, _I, _L, _P]),
    ("SSL_CTX_set_timeout", _L, [_P, _L]),
    ("SSL_CTX_get_timeout", _L, [_P]),
)


def keep_sessions(context: ssl.SSLContext, *, most: int, seconds: int) -> None:
    """Let the server `context` remember at most `most` sessions, each for `seconds`.

    The oldest go first; who shows a forgotten one gets a whole handshake. Raises `Unavailable`.
    """
    context.options |= ssl.OP_NO_TICKET  # in TLS 1.3: tickets that are names
    context.num_tickets = 1
    pointer, library = context_pointer(context), openssl(_CALLS)
    library.SSL_CTX_ctrl(pointer, _SET_CACHE_SIZE, most, None)
    library.SSL_CTX_set_timeout(pointer, seconds)
    if library.SSL_CTX_get_timeout(pointer) != seconds:
        raise Unavailable("OpenSSL does not keep TLS sessions for as long as it was told")
