"""A private key under a passphrase: PKCS#8 (RFC 5958) by PBES2 (RFC 8018) with scrypt (RFC 7914).

Owns the parameters. What `cryptography` writes by itself derives the key with 2,048 rounds of
PBKDF2, which a stolen file can be tried against some hundred thousand times a second on one
graphics card. This format is what `openssl pkcs8 -topk8 -scrypt` writes, and everything that reads
PBES2 with scrypt reads it, `cryptography` included.
"""

import base64
import os
import textwrap
from typing import Final

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

__all__ = ["SCRYPT_N", "SCRYPT_P", "SCRYPT_R", "encrypt_private_key"]

SCRYPT_N: Final = 1 << 14
SCRYPT_R: Final = 8
SCRYPT_P: Final = 5
"""16 MiB and five passes: one of the equal choices of OWASP's Password Storage Cheat Sheet, and the
largest memory that OpenSSL's own tools open."""

_KEY_BYTES, _SALT_BYTES, _BLOCK_BYTES = 32, 16, 16
_PBES2 = "06092a864886f70d01050d"  # 1.2.840.113549.1.5.13
_SCRYPT = "06092b06010401da47040b"  # 1.3.6.1.4.1.11591.4.11
_AES_256_CBC = "060960864801650304012a"  # 2.16.840.1.101.3.4.1.42


def encrypt_private_key(pkcs8: bytes, passphrase: bytes) -> bytes:
    """The DER of a PrivateKeyInfo, `pkcs8`, as PEM that only `passphrase` opens."""
    salt, iv = os.urandom(_SALT_BYTES), os.urandom(_BLOCK_BYTES)
    key = Scrypt(salt, _KEY_BYTES, SCRYPT_N, SCRYPT_R, SCRYPT_P).derive(passphrase)
    padder = padding.PKCS7(8 * _BLOCK_BYTES).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    sealed = encryptor.update(padder.update(pkcs8) + padder.finalize()) + encryptor.finalize()
    costs = b"".join(_integer(number) for number in (SCRYPT_N, SCRYPT_R, SCRYPT_P))
    derivation = _sequence(bytes.fromhex(_SCRYPT), _sequence(_octets(salt), costs))
    cipher = _sequence(bytes.fromhex(_AES_256_CBC), _octets(iv))
    algorithm = _sequence(bytes.fromhex(_PBES2), _sequence(derivation, cipher))
    text = base64.b64encode(_sequence(algorithm, _octets(sealed))).decode()
    lines = "\n".join(textwrap.wrap(text, 64))
    kind = "ENCRYPTED PRIVATE KEY"
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n".encode()


def _sequence(*parts: bytes) -> bytes:
    return _tagged(0x30, b"".join(parts))


def _octets(data: bytes) -> bytes:
    return _tagged(0x04, data)


def _integer(number: int) -> bytes:
    return _tagged(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _tagged(tag: int, content: bytes) -> bytes:
    """Definite form of DER (ITU-T X.690, 8.1.3)."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content
