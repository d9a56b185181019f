"""TLS without a trusted clock: the peer's chain is judged by a time that is certainly past.

Owns the two classes that add this judgement to the end of Python's own handshake, before
a byte of the application passes. Everything else of the verification (signatures, path,
name, purpose) stays with OpenSSL.
"""

import ssl
from collections.abc import Callable
from datetime import datetime
from typing import Any

from cryptography import x509

__all__ = ["judge_by_floor"]

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, X509_VERIFY_PARAM_set_flags(3)
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED


def judge_by_floor(context: ssl.SSLContext, time_floor: Callable[[], datetime]) -> None:
    """Replace the clock's part in every verification of `context` by `time_floor` (UTC)."""

    class FlooredObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            _verify_not_ended(self, time_floor())

    class FlooredSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            _verify_not_ended(self, time_floor())

    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    context.sslobject_class = FlooredObject
    context.sslsocket_class = FlooredSocket


def _verify_not_ended(connection: ssl.SSLObject | ssl.SSLSocket, floor: datetime) -> None:
    inner: Any = connection._sslobj  # type: ignore[union-attr]  # public from Python 3.13 on
    for certificate in inner.get_verified_chain():
        found = x509.load_pem_x509_certificate(certificate.public_bytes().encode("ascii"))
        if found.not_valid_after_utc < floor:
            error = ssl.SSLCertVerificationError(1, "certificate has expired")
            error.verify_code = _EXPIRED
            error.verify_message = f"it ended before {floor:%Y-%m-%d}, which is past"
            raise error
