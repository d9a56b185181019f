"""Private keys as files, and public keys as pins.

Makes ECDSA keys for TLS identities (what IEEE 802.1AR and every TLS stack know), and
Ed25519 (RFC 8032) and ML-DSA keys (FIPS 204) for firmware signatures, as the suite
says. Never writes a key to a log or an error message.
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from limpet.crypto.pkcs8 import encrypt_private_key
from limpet.crypto.policy import certificate_curve, verify_firmware_schemes
from limpet.crypto.suites import CURRENT, Suite
from limpet.errors import Rejected

__all__ = [
    "SigningKey",
    "TlsKey",
    "generate_key",
    "generate_signing_key",
    "key_to_pem",
    "pin_text",
    "scheme_of",
    "signing_key_from_pem",
    "spki_sha256",
    "tls_key_from_pem",
]

TlsKey = ec.EllipticCurvePrivateKey
SigningKey = (
    ed25519.Ed25519PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)

_SCHEMES: Final[dict[str, tuple[type[SigningKey], Callable[[], SigningKey]]]] = {
    "ed25519": (ed25519.Ed25519PrivateKey, ed25519.Ed25519PrivateKey.generate),
    "ml-dsa-44/1": (mldsa.MLDSA44PrivateKey, mldsa.MLDSA44PrivateKey.generate),
    "ml-dsa-65/1": (mldsa.MLDSA65PrivateKey, mldsa.MLDSA65PrivateKey.generate),
    "ml-dsa-87/1": (mldsa.MLDSA87PrivateKey, mldsa.MLDSA87PrivateKey.generate),
}
"""By securesystemslib's names, which are those of a suite."""


def generate_key(suite: Suite = CURRENT) -> TlsKey:
    """A new key for a TLS identity, on the suite's first curve."""
    return ec.generate_private_key(certificate_curve(suite))


def generate_signing_key(scheme: str = "ed25519") -> SigningKey:
    """A new key of `scheme`, which a suite names, for firmware and repository metadata."""
    return _SCHEMES[scheme][1]()


def scheme_of(key: SigningKey) -> str:
    """The scheme that `key` signs by."""
    return next(scheme for scheme, (kind, _) in _SCHEMES.items() if isinstance(key, kind))


def key_to_pem(key: TlsKey | SigningKey, *, passphrase: bytes | None = None) -> bytes:
    """PKCS#8 PEM (RFC 5958), encrypted where a passphrase is given: `limpet.crypto.pkcs8`."""
    kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    if passphrase:
        der = key.private_bytes(serialization.Encoding.DER, kind, plain)
        return encrypt_private_key(der, passphrase)
    return key.private_bytes(serialization.Encoding.PEM, kind, plain)


def tls_key_from_pem(pem: bytes, *, passphrase: bytes | None = None) -> TlsKey:
    """The ECDSA key in `pem`. Raises `Rejected("bad-key")`."""
    key = _load(pem, passphrase)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Rejected("bad-key", "the file does not hold an ECDSA key")
    return key


def signing_key_from_pem(
    pem: bytes,
    *,
    passphrase: bytes | None = None,
    suite: Suite | None = CURRENT,
    offline: bool = True,
) -> SigningKey:
    """The key in `pem`, if the suite still signs by its scheme for the roles of its kind.

    Without a suite any key that limpet can make is taken. Raises `Rejected("weak-key")` for a
    private key of another scheme, `Rejected("bad-key")` for what is none.
    """
    key = _load(pem, passphrase)
    if not isinstance(key, SigningKey):
        raise Rejected("weak-key", "the file holds no key that signs firmware: Ed25519 or ML-DSA")
    if suite is not None:
        families = suite.firmware.offline if offline else suite.firmware.online
        verify_firmware_schemes((scheme_of(key),), what="the file", families=families, suite=suite)
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
