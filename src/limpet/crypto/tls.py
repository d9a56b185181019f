"""TLS contexts after the suite's rules for a use: nothing else is offered or accepted.

The only maker of `ssl.SSLContext` in limpet. Names are always checked, and there is no option
to skip verification; a test or an audit that needs a bad peer builds its own.
"""

import contextlib
import os
import ssl
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from limpet.crypto._judged import judge_by_floor, judge_by_suite, judge_chains
from limpet.crypto._restriction import available_groups, restrict, verify_restricted
from limpet.crypto._sessions import keep_sessions
from limpet.crypto.held import HeldKey, attach_held_key
from limpet.crypto.keys import TlsKey, key_to_pem
from limpet.crypto.suites import CURRENT, Suite, TlsRules, TlsUse
from limpet.errors import Rejected

__all__ = ["available_groups", "client_context", "serve_by_name", "server_context"]

_KEPT_SESSIONS = 8192
"""Of a vendor's service: about a kilobyte each, more where the client showed a certificate."""

_SESSION_SECONDS = 86400
"""A device checks every few hours. After a day it sees the server's certificate anew."""

_PADDING = 1 << 4
"""SSL_OP_TLSEXT_PADDING (RFC 7685): 200 bytes for one old load balancer, in each handshake."""


def server_context(
    chain_pem: bytes,
    key: TlsKey | Path,
    *,
    suite: Suite = CURRENT,
    use: TlsUse = TlsUse.LOCAL,
    client_roots_pem: bytes | None = None,
    require_client: bool = False,
) -> ssl.SSLContext:
    """A server's context. With `client_roots_pem` a client may show a certificate, which must
    then verify and be within the suite; with `require_client` it must show one. Raises
    `Rejected("bad-certificate")`, and `Unavailable` where OpenSSL cannot be held to the suite."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    rules = suite.tls_rules(use)
    _apply(context, rules)
    context.num_tickets = 2
    if use is TlsUse.VENDOR:
        keep_sessions(context, most=_KEPT_SESSIONS, seconds=_SESSION_SECONDS)
    _load_identity(context, chain_pem, key)
    verify_restricted(context, rules)
    if client_roots_pem is not None:
        _trust(context, client_roots_pem)
        context.verify_mode = ssl.CERT_REQUIRED if require_client else ssl.CERT_OPTIONAL
        judge_chains(context, [judge_by_suite(suite)])
    return context


def serve_by_name(context: ssl.SSLContext, others: Mapping[str, ssl.SSLContext]) -> ssl.SSLContext:
    """`context`, which from now on hands a client that asks for a name of `others` (RFC 6066, 3;
    in lower case) over to that name's context. A client that names nobody stays with it."""

    def choose(session: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        other = others.get(name.lower()) if name is not None else None
        if other is not None:
            session.context = other

    context.sni_callback = choose
    return context


def client_context(
    *,
    roots_pem: bytes,
    suite: Suite = CURRENT,
    use: TlsUse = TlsUse.LOCAL,
    chain_pem: bytes | None = None,
    key: TlsKey | Path | None = None,
    time_floor: Callable[[], datetime] | None = None,
) -> ssl.SSLContext:
    """A client's context that trusts `roots_pem` only, and shows a certificate where given.

    With `time_floor` the server's chain is judged by that authenticated time in place of the
    wall clock: what ended before it is refused, and what has not begun yet is not. Certificates
    must be within the suite, but for `TlsUse.OUTBOUND`: others make those, and OpenSSL's security
    level bounds them. Raises as `server_context` does.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    rules = suite.tls_rules(use)
    _apply(context, rules)
    if use is TlsUse.VENDOR:
        context.options &= ~_PADDING
    verify_restricted(context, rules)
    judges = [] if use is TlsUse.OUTBOUND else [judge_by_suite(suite)]
    if time_floor is not None:
        judges.append(judge_by_floor(context, time_floor))
    judge_chains(context, judges)
    _trust(context, roots_pem)
    if chain_pem is not None and key is not None:
        _load_identity(context, chain_pem, key)
    return context


def _apply(context: ssl.SSLContext, rules: TlsRules) -> None:
    restrict(context, rules)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])


def _trust(context: ssl.SSLContext, roots_pem: bytes) -> None:
    try:
        context.load_verify_locations(cadata=roots_pem.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise Rejected("bad-certificate", "the trusted roots are not certificates") from error


def _load_identity(context: ssl.SSLContext, chain_pem: bytes, key: TlsKey | Path) -> None:
    """Through memory files: Python's ssl takes paths only, and no copy may touch a disk."""
    with contextlib.ExitStack() as stack:
        chain_path = _memory_file(stack, chain_pem)
        if isinstance(key, HeldKey):
            attach_held_key(context, chain_path, key)
            return
        key_path = key if isinstance(key, Path) else _memory_file(stack, key_to_pem(key))
        try:
            context.load_cert_chain(chain_path, key_path)
        except (ssl.SSLError, OSError) as error:
            raise Rejected("bad-certificate", "certificate and key do not fit") from error


def _memory_file(stack: contextlib.ExitStack, content: bytes) -> Path:
    descriptor = os.memfd_create("limpet-tls", os.MFD_CLOEXEC)
    stack.callback(os.close, descriptor)
    os.write(descriptor, content)
    return Path(f"/proc/self/fd/{descriptor}")
