"""What is asked of a peer's chain beyond OpenSSL's own verification, in every handshake.

Owns the two classes that add judgements to the end of Python's own handshake, before a
byte of the application passes: that every certificate is within the suite (OpenSSL knows
only its own security levels), and, without a trusted clock, that the chain had not ended
at a time that is certainly past. Everything else (signatures, path, name, purpose) stays
with OpenSSL.
"""

import ssl
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from cryptography import x509

from limpet.crypto.policy import verify_certificate_algorithms, verify_key
from limpet.crypto.suites import Suite
from limpet.errors import Rejected

__all__ = ["Judge", "judge_by_floor", "judge_by_suite", "judge_chains"]

Judge = Callable[[Sequence[x509.Certificate]], None]
"""Raises `ssl.SSLCertVerificationError` for a verified chain (leaf first, root last)."""

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, X509_VERIFY_PARAM_set_flags(3)
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_UNSPECIFIED = 1  # X509_V_ERR_UNSPECIFIED


def judge_chains(context: ssl.SSLContext, judges: Sequence[Judge]) -> None:
    """Let every handshake of `context` end with `judges`, where the peer showed a certificate."""
    if not judges:
        return

    class JudgedObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            _judge(self, judges)

    class JudgedSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            _judge(self, judges)

    context.sslobject_class = JudgedObject
    context.sslsocket_class = JudgedSocket


def judge_by_suite(suite: Suite) -> Judge:
    """A judge that refuses a chain with a key or a signature that the suite does not have.

    A root's own signature proves nothing and is not looked at; its key is.
    """

    def judge(chain: Sequence[x509.Certificate]) -> None:
        *below, root = chain
        try:
            for certificate in below:
                verify_certificate_algorithms(certificate, suite)
            verify_key(root.public_key(), suite)
        except Rejected as error:
            raise _failure(_UNSPECIFIED, "certificate too weak", error.message) from error

    return judge


def judge_by_floor(context: ssl.SSLContext, time_floor: Callable[[], datetime]) -> Judge:
    """A judge in place of the clock's part in `context`'s own verification (UTC)."""
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)

    def judge(chain: Sequence[x509.Certificate]) -> None:
        floor = time_floor()
        if any(certificate.not_valid_after_utc < floor for certificate in chain):
            past = f"it ended before {floor:%Y-%m-%d}, which is past"
            raise _failure(_EXPIRED, "certificate has expired", past)

    return judge


def _judge(connection: ssl.SSLObject | ssl.SSLSocket, judges: Sequence[Judge]) -> None:
    inner: Any = connection._sslobj  # type: ignore[union-attr]  # public from Python 3.13 on
    chain = [
        x509.load_pem_x509_certificate(certificate.public_bytes().encode("ascii"))
        for certificate in inner.get_verified_chain() or ()
    ]
    if chain:
        for judge in judges:
            judge(chain)


def _failure(code: int, what: str, why: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, what)
    error.verify_code, error.verify_message = code, why
    return error
