"""Keys that attest: Ed25519 (RFC 8032), one signature over bytes that the caller frames.

Owns making, reading and using them. Firmware metadata goes by the suite's families instead
(`limpet.crypto.suites`): what these keys sign is never enough to make a device install anything.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from limpet.crypto.keys import signing_key_from_pem, spki_sha256
from limpet.errors import Rejected

__all__ = [
    "AttestingKey",
    "PublicKey",
    "attesting_key_from_pem",
    "has_signed",
    "key_id",
    "new_attesting_key",
    "public_keys_from_pem",
    "public_pem",
]

AttestingKey = ed25519.Ed25519PrivateKey
PublicKey = ed25519.Ed25519PublicKey

MAX_KEYS = 8
_END = b"-----END PUBLIC KEY-----"


def new_attesting_key() -> AttestingKey:
    """A new key, from the system's generator."""
    return ed25519.Ed25519PrivateKey.generate()


def attesting_key_from_pem(pem: bytes, *, passphrase: bytes | None = None) -> AttestingKey:
    """The key in `pem` (PKCS#8). Raises `Rejected("bad-key" | "weak-key")`."""
    key = signing_key_from_pem(pem, passphrase=passphrase, suite=None)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise Rejected("bad-key", "the file does not hold a key of Ed25519")
    return key


def public_pem(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo in PEM (RFC 7468); several may stand in one file."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def public_keys_from_pem(pem: bytes) -> tuple[PublicKey, ...]:
    """The keys in `pem`, one after another. Raises `Rejected("bad-key")`."""
    *blocks, rest = pem.split(_END)
    if not 1 <= len(blocks) <= MAX_KEYS or rest.strip():
        raise Rejected("bad-key", f"not 1 to {MAX_KEYS} public keys in PEM")
    return tuple(_public_key(block.strip() + _END) for block in blocks)


def key_id(key: PublicKey) -> str:
    """SHA-256 of the key's SubjectPublicKeyInfo, in hexadecimal."""
    return spki_sha256(key).hex()


def has_signed(key: PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether `signature` is `key`'s over `data`."""
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _public_key(pem: bytes) -> PublicKey:
    try:
        key = serialization.load_pem_public_key(pem)
    except ValueError as error:
        raise Rejected("bad-key", "not a public key in PEM") from error
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise Rejected("bad-key", "the key is not of Ed25519")
    return key
