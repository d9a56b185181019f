"""TLS contexts after the suite: TLS 1.3 (RFC 8446) and nothing below, names always checked.

The only maker of `ssl.SSLContext` in limpet. There is no option to skip
verification; a test or an audit that needs a bad peer builds its own.
"""

import contextlib
import os
import ssl
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from limpet.crypto._floored import judge_by_floor
from limpet.crypto.held import HeldKey, attach_held_key
from limpet.crypto.keys import TlsKey, key_to_pem
from limpet.crypto.suites import CURRENT, Suite
from limpet.errors import Rejected

__all__ = ["client_context", "server_context"]


def server_context(
    chain_pem: bytes,
    key: TlsKey | Path,
    *,
    suite: Suite = CURRENT,
    client_roots_pem: bytes | None = None,
    require_client: bool = False,
) -> ssl.SSLContext:
    """A server's context. With `client_roots_pem` a client may show a certificate, which must
    then verify; with `require_client` it must show one. Raises `Rejected("bad-certificate")`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _apply(context, suite)
    context.num_tickets = 2
    _load_identity(context, chain_pem, key)
    if client_roots_pem is not None:
        _trust(context, client_roots_pem)
        context.verify_mode = ssl.CERT_REQUIRED if require_client else ssl.CERT_OPTIONAL
    return context


def client_context(
    *,
    roots_pem: bytes,
    suite: Suite = CURRENT,
    chain_pem: bytes | None = None,
    key: TlsKey | Path | None = None,
    time_floor: Callable[[], datetime] | None = None,
) -> ssl.SSLContext:
    """A client's context that trusts `roots_pem` only, and shows a certificate where given.

    With `time_floor` the server's chain is judged by that authenticated time in place of the
    wall clock: what ended before it is refused, and what has not begun yet is not.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if time_floor is not None:
        judge_by_floor(context, time_floor)
    _apply(context, suite)
    _trust(context, roots_pem)
    if chain_pem is not None and key is not None:
        _load_identity(context, chain_pem, key)
    return context


def _apply(context: ssl.SSLContext, suite: Suite) -> None:
    context.minimum_version = suite.tls_minimum
    context.maximum_version = ssl.TLSVersion.TLSv1_3
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
