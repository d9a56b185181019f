"""The updater's own client certificate (LDevID): its key, its file.

Owns `key.pem` and `certificate.pem` in the updater's directory. The key signs only
TLS handshakes for reports; losing it costs a new enrollment and nothing else.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from limpet.crypto.keys import TlsKey, generate_key, key_to_pem, tls_key_from_pem
from limpet.crypto.policy import verify_certificate_algorithms, verify_key
from limpet.errors import Rejected, Unavailable
from limpet.storage import read_bounded, write_atomic

__all__ = [
    "OwnCertificate",
    "load_certificate",
    "load_key",
    "parse_certificate",
    "save_certificate",
]

_KEY_FILE, _CERTIFICATE_FILE = "key.pem", "certificate.pem"
_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """A chain that fits the key; times in UTC."""

    chain_pem: bytes
    not_before: datetime
    not_after: datetime


def load_key(directory: Path) -> TlsKey:
    """The key, made on the first call, when the file is damaged, or when a newer suite has retired
    it. Raises `Unavailable`."""
    file = directory / _KEY_FILE
    try:
        key = tls_key_from_pem(read_bounded(file, max_bytes=_BYTES))
        verify_key(key.public_key())
        return key
    except (Rejected, Unavailable):
        key = generate_key()
        write_atomic(file, key_to_pem(key))
        return key


def load_certificate(directory: Path, key: TlsKey) -> OwnCertificate | None:
    """The certificate if there is one that fits `key`; None asks for enrollment."""
    try:
        return parse_certificate(read_bounded(directory / _CERTIFICATE_FILE, max_bytes=_BYTES), key)
    except (Rejected, Unavailable):
        return None


def parse_certificate(chain_pem: bytes, key: TlsKey) -> OwnCertificate:
    """The chain as a certificate for `key`, within the suite. Raises `Rejected`."""
    try:
        leaf = x509.load_pem_x509_certificates(chain_pem)[0]
    except (ValueError, IndexError) as error:
        raise Rejected("bad-certificate", "not a certificate in PEM") from error
    if leaf.public_key() != key.public_key():
        raise Rejected("bad-certificate", "the certificate is for another key")
    verify_certificate_algorithms(leaf)
    return OwnCertificate(chain_pem, leaf.not_valid_before_utc, leaf.not_valid_after_utc)


def save_certificate(directory: Path, certificate: OwnCertificate) -> None:
    """Keep it, durable on return. Raises `Unavailable`."""
    write_atomic(directory / _CERTIFICATE_FILE, certificate.chain_pem)
