"""Private keys as files, and public keys as pins.

Makes ECDSA P-256 keys for TLS identities (what IEEE 802.1AR and every TLS stack
know) and Ed25519 keys for firmware signatures. Never writes a key to a log or
an error message.
"""

import base64
import hashlib

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from limpet.crypto.suites import CURRENT, Suite, verify_firmware_schemes
from limpet.errors import Rejected

__all__ = [
    "SigningKey",
    "TlsKey",
    "generate_key",
    "generate_signing_key",
    "key_to_pem",
    "pin_text",
    "signing_key_from_pem",
    "spki_sha256",
    "tls_key_from_pem",
]

TlsKey = ec.EllipticCurvePrivateKey
SigningKey = ed25519.Ed25519PrivateKey


def generate_key() -> TlsKey:
    """A new P-256 key for a TLS identity."""
    return ec.generate_private_key(ec.SECP256R1())


def generate_signing_key() -> SigningKey:
    """A new Ed25519 key for firmware and repository metadata."""
    return ed25519.Ed25519PrivateKey.generate()


def key_to_pem(key: TlsKey | SigningKey, *, passphrase: bytes | None = None) -> bytes:
    """PKCS#8 PEM (RFC 5958), encrypted where a passphrase is given."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def tls_key_from_pem(pem: bytes, *, passphrase: bytes | None = None) -> TlsKey:
    """The P-256 or P-384 key in `pem`. Raises `Rejected("bad-key")`."""
    key = _load(pem, passphrase)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Rejected("bad-key", "the file does not hold an ECDSA key")
    return key


def signing_key_from_pem(
    pem: bytes, *, passphrase: bytes | None = None, suite: Suite = CURRENT
) -> SigningKey:
    """The Ed25519 key in `pem`, if the suite still signs firmware with Ed25519.

    Raises `Rejected("weak-key")` for a private key of another scheme, `Rejected("bad-key")` for
    what is none.
    """
    key = _load(pem, passphrase)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise Rejected("weak-key", "the file does not hold an Ed25519 key")
    verify_firmware_schemes(("ed25519",), what="the file", suite=suite)
    return key


def spki_sha256(holder: PublicKeyTypes | x509.Certificate) -> bytes:
    """SHA-256 of the SubjectPublicKeyInfo: the pin of RFC 7469, section 2.4."""
    key = holder.public_key() if isinstance(holder, x509.Certificate) else holder
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).digest()


def pin_text(digest: bytes) -> str:
    """A pin as base64url without padding: 43 characters for the label's QR code."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _load(pem: bytes, passphrase: bytes | None) -> object:
    try:
        return serialization.load_pem_private_key(pem, passphrase)
    except TypeError as error:
        raise Rejected(
            "bad-key", "the key's passphrase is missing, or given for a key without one"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Rejected("bad-key", "not a private key in PEM, or a wrong passphrase") from error
