"""Named, versioned sets of algorithms, and the refusal of whatever is below them.

A suite is data: raising a bound or retiring an algorithm is a new suite in a
firmware update, not a new design (algorithm agility, RFC 7696; draft-moore, 2.1.4).
"""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from limpet.errors import Rejected

__all__ = [
    "CURRENT",
    "SUITE_2026",
    "Suite",
    "verify_certificate_algorithms",
    "verify_firmware_schemes",
    "verify_key",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What is accepted and offered; everything else is refused in both directions."""

    name: str
    version: int
    tls_minimum: ssl.TLSVersion
    certificate_hashes: frozenset[str]  # for signatures on certificates and requests
    curves: frozenset[str]  # for ECDSA keys
    rsa_minimum_bits: int  # for peers' certificates; limpet makes none
    firmware_schemes: frozenset[str]  # of metadata keys, by securesystemslib's names


SUITE_2026 = Suite(
    name="limpet-2026",
    version=1,
    # RFC 8446. TLS 1.2 is refused: every peer of a limpet device is a limpet or a current client.
    tls_minimum=ssl.TLSVersion.TLSv1_3,
    certificate_hashes=frozenset({"sha256", "sha384", "sha512"}),  # FIPS 180-4
    curves=frozenset({"secp256r1", "secp384r1"}),  # NIST SP 800-186; 128 bits and more
    rsa_minimum_bits=3072,  # NIST SP 800-57 part 1, 128-bit strength
    firmware_schemes=frozenset({"ed25519"}),  # RFC 8032
)

CURRENT = SUITE_2026
"""The suite of this version of limpet."""


def verify_key(key: PublicKeyTypes, suite: Suite = CURRENT) -> None:
    """Raise `Rejected("weak-key")` unless the suite accepts this public key."""
    match key:
        case ec.EllipticCurvePublicKey() if key.curve.name in suite.curves:
            return
        case ed25519.Ed25519PublicKey():
            return
        case rsa.RSAPublicKey() if key.key_size >= suite.rsa_minimum_bits:
            return
    size = getattr(key, "key_size", 0)
    raise Rejected("weak-key", f"{type(key).__name__} of {size} bits is not in suite {suite.name}")


def verify_firmware_schemes(schemes: Iterable[str], *, what: str, suite: Suite = CURRENT) -> None:
    """Raise `Rejected("weak-key")` unless every key's scheme may sign firmware metadata.

    python-tuf takes whatever it can verify, RSA and ECDSA too: this is what keeps them out.
    `what` names the holder of the keys in the message.
    """
    for scheme in sorted(set(schemes) - suite.firmware_schemes):
        raise Rejected(
            "weak-key", f"{what} has a key for {scheme[:64]!r}, which is not in suite {suite.name}"
        )


def verify_certificate_algorithms(
    signed: x509.Certificate | x509.CertificateSigningRequest, suite: Suite = CURRENT
) -> None:
    """Raise `Rejected` unless key and signature hash of `signed` are in the suite."""
    verify_key(signed.public_key(), suite)
    algorithm = signed.signature_hash_algorithm
    if algorithm is None:  # EdDSA hashes inside; verify_key has admitted the key kind
        return
    if algorithm.name not in suite.certificate_hashes:
        raise Rejected("weak-signature", f"{algorithm.name} is not in suite {suite.name}")
