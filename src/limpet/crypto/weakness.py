"""Weak public keys and certificates in any file.

Owns what counts as weak: RSA below 2048 bits and curves below 256 (NIST SP 800-57, part 1,
for use until 2030), DSA, and certificates signed over MD5 or SHA-1. Never looks at private keys.
"""

import re
from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

__all__ = ["find_weak_keys"]

RSA_BITS = 2048
CURVE_BITS = 256
MAX_BLOCKS = 1000
_BLOCK = re.compile(
    rb"-----BEGIN (CERTIFICATE|PUBLIC KEY)-----.{1,65536}?-----END \1-----", re.DOTALL
)


def find_weak_keys(data: bytes) -> Iterator[str]:
    """What is weak in the PEM certificates and public keys of `data`, in words."""
    for _, match in zip(range(MAX_BLOCKS), _BLOCK.finditer(data), strict=False):
        pem = match[0].replace(b"\\n", b"\n")  # as JSON and source code write it
        try:
            if match[1] == b"CERTIFICATE":
                yield from _of_certificate(x509.load_pem_x509_certificate(pem))
            else:
                yield from _of_key(serialization.load_pem_public_key(pem))
        except (ValueError, UnsupportedAlgorithm):
            yield "a key or certificate that cannot be read"


def _of_certificate(certificate: x509.Certificate) -> Iterator[str]:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        algorithm = None
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        yield f"a certificate signed over {algorithm.name}"
    yield from _of_key(certificate.public_key())


def _of_key(key: object) -> Iterator[str]:
    match key:
        case rsa.RSAPublicKey() if key.key_size < RSA_BITS:
            yield f"an RSA key of {key.key_size} bits"
        case ec.EllipticCurvePublicKey() if key.curve.key_size < CURVE_BITS:
            yield f"a key on {key.curve.name}"
        case dsa.DSAPublicKey():
            yield "a DSA key"
        case _:
            return
