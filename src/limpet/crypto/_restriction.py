"""A TLS context held to a suite's rules, and the proof that it is.

Python's `ssl` can set neither a list of groups nor signature algorithms nor the ciphers
of TLS 1.3, so OpenSSL is told directly; docs/adr/0087 says why, and what that rests on.
What OpenSSL was told is then compared with what it does, in memory: the ClientHello of a
client is read, and a server has to refuse a stranger who offers only what the suite does
not have. A restriction that got lost is an error before any connection is made.
"""

import contextlib
import ctypes
import functools
import ssl
from collections.abc import Sequence
from typing import Any

from limpet.crypto._hello import Offered, parse_hello
from limpet.crypto._openssl import Calls, context_pointer, openssl
from limpet.crypto.suites import TlsRules
from limpet.crypto.suites._types import CIPHERS, GROUPS, SIGNATURES
from limpet.errors import Unavailable

__all__ = ["available_groups", "restrict", "verify_restricted"]

_SET_GROUPS_LIST, _SET_SIGALGS_LIST = 92, 98  # SSL_CTRL_… of openssl/ssl.h
_TLS_1_3 = 0x0304
_P, _I, _S, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_long
_CALLS: Calls = (
    ("SSL_CTX_ctrl", _L, [_P, _I, _L, _S]),
    ("SSL_CTX_set_ciphersuites", _I, [_P, _S]),
    ("ERR_clear_error", None, []),
)


def available_groups(names: Sequence[str]) -> tuple[str, ...]:
    """Those of `names` that the linked OpenSSL can use, in the same order."""
    return _usable(_SET_GROUPS_LIST, tuple(names))


def restrict(context: ssl.SSLContext, rules: TlsRules) -> None:
    """Let `context` offer and accept what `rules` name and nothing else.

    A name that this OpenSSL does not know (a newer group, say) is left out; a list of which
    nothing is left raises `Unavailable`. The caller owes `verify_restricted`.
    """
    library, pointer = openssl(_CALLS), context_pointer(context)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    ciphers = ":".join(rules.ciphers)
    done = library.SSL_CTX_set_ciphersuites(pointer, ciphers.encode("ascii")) == 1
    for command, names in (
        (_SET_GROUPS_LIST, rules.groups),
        (_SET_SIGALGS_LIST, rules.signatures),
    ):
        usable = ":".join(_usable(command, names))
        done = done and bool(usable) and _control(library, pointer, command, usable)
    if not done:
        raise Unavailable(
            f"{ssl.OPENSSL_VERSION} cannot be held to the suite's TLS rules",
            hint="it knows none of a list's names, or refuses the list",
        )


def verify_restricted(context: ssl.SSLContext, rules: TlsRules) -> None:
    """Raise `Unavailable` unless `context` does what `rules` say, and no more."""
    if {cipher["name"] for cipher in context.get_ciphers() if _is_modern(cipher)} != set(
        rules.ciphers
    ):
        raise Unavailable("OpenSSL offers other ciphers than the suite's")
    if context.protocol is ssl.PROTOCOL_TLS_SERVER:
        _verify_server(context, rules)
    elif _offer(context) != _expected(rules):
        raise Unavailable("OpenSSL offers other algorithms in TLS than the suite's")


def _verify_server(context: ssl.SSLContext, rules: TlsRules) -> None:
    """A client of the suite is answered: without that, a refusal would show nothing. A stranger
    who has only other groups is refused."""
    friend = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    restrict(friend, rules)
    if not _answers(context, _hello(friend)):
        raise Unavailable(
            "the server can answer no client of the suite",
            hint="does its certificate's key fit the suite's signatures?",
        )
    strange = [name for name in available_groups(tuple(GROUPS)) if name not in rules.groups]
    if not strange:
        return
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _control(openssl(_CALLS), context_pointer(stranger), _SET_GROUPS_LIST, ":".join(strange))
    if _answers(context, _hello(stranger)):
        raise Unavailable("OpenSSL accepts groups that are not in the suite")


def _answers(context: ssl.SSLContext, hello: bytes) -> bool:
    """Whether the server goes on with a handshake that begins so."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming.write(hello)
    try:
        context.wrap_bio(incoming, outgoing, server_side=True).do_handshake()
    except ssl.SSLWantReadError:
        return True
    except ssl.SSLError:
        return False
    return True


def _offer(context: ssl.SSLContext) -> Offered:
    return parse_hello(_hello(context))


def _hello(context: ssl.SSLContext) -> bytes:
    """The first bytes of a handshake that is not continued."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="probe.invalid")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def _expected(rules: TlsRules) -> Offered:
    return Offered(
        versions=(_TLS_1_3,),
        ciphers=tuple(CIPHERS[name] for name in rules.ciphers),
        groups=tuple(GROUPS[name] for name in available_groups(rules.groups)),
        signatures=tuple(SIGNATURES[name] for name in _usable(_SET_SIGALGS_LIST, rules.signatures)),
    )


@functools.cache
def _usable(command: int, names: tuple[str, ...]) -> tuple[str, ...]:
    """Asked once in a process: what OpenSSL knows does not change."""
    library, scratch = openssl(_CALLS), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    pointer = context_pointer(scratch)
    return tuple(name for name in names if _control(library, pointer, command, name))


def _control(library: Any, pointer: int, command: int, text: str) -> bool:
    done = library.SSL_CTX_ctrl(pointer, command, 0, text.encode("ascii")) == 1
    library.ERR_clear_error()
    return bool(done)


def _is_modern(cipher: Any) -> bool:
    return bool(cipher["protocol"] == "TLSv1.3")
