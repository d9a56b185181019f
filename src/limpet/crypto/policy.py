"""Keys, certificates and firmware signatures held to a suite: what is below it is refused.

Owns the judgements over `cryptography`'s types, and the counting of signatures by family.
Which algorithms are in a suite is data: `limpet.crypto.suites`.
"""

from collections.abc import Iterable
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from limpet.crypto.suites import CURRENT, Families, Suite
from limpet.errors import Rejected

__all__ = [
    "certificate_curve",
    "certificate_hash",
    "missing_families",
    "verify_certificate_algorithms",
    "verify_firmware_schemes",
    "verify_key",
]

CertificateHash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512

_HASHES: Final[dict[str, CertificateHash]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "secp256r1": ec.SECP256R1(),
    "secp384r1": ec.SECP384R1(),
    "secp521r1": ec.SECP521R1(),
}


def certificate_hash(suite: Suite = CURRENT) -> CertificateHash:
    """What limpet signs certificates and requests over: the first of the suite's hashes."""
    return _HASHES[suite.certificates.hashes[0]]


def certificate_curve(suite: Suite = CURRENT) -> ec.EllipticCurve:
    """What limpet makes keys on: the first of the suite's curves."""
    return _CURVES[suite.certificates.curves[0]]


def verify_key(key: PublicKeyTypes, suite: Suite = CURRENT) -> None:
    """Raise `Rejected("weak-key")` unless the suite accepts this public key in a certificate."""
    rules = suite.certificates
    match key:
        case ec.EllipticCurvePublicKey() if key.curve.name in rules.curves:
            return
        case ed25519.Ed25519PublicKey() if "ed25519" in rules.edwards:
            return
        case rsa.RSAPublicKey() if key.key_size >= rules.rsa_minimum_bits:
            return
    size = getattr(key, "key_size", 0)
    raise Rejected("weak-key", f"{type(key).__name__} of {size} bits is not in suite {suite.id}")


def verify_certificate_algorithms(
    signed: x509.Certificate | x509.CertificateSigningRequest, suite: Suite = CURRENT
) -> None:
    """Raise `Rejected` unless key and signature hash of `signed` are in the suite."""
    verify_key(signed.public_key(), suite)
    try:
        algorithm = signed.signature_hash_algorithm
    except UnsupportedAlgorithm as error:
        raise Rejected("weak-signature", f"the signature is not in suite {suite.id}") from error
    if algorithm is None:  # EdDSA hashes inside; verify_key has admitted the key kind
        return
    if algorithm.name not in suite.certificates.hashes:
        raise Rejected("weak-signature", f"{algorithm.name} is not in suite {suite.id}")


def verify_firmware_schemes(
    schemes: Iterable[str], *, what: str, families: Families, suite: Suite = CURRENT
) -> None:
    """Raise `Rejected("weak-key")` unless every key's scheme is of `families`, those of the suite
    that sign for the role, or one that roles may name besides.

    python-tuf takes whatever it can verify, RSA and ECDSA too: this is what keeps them out.
    `what` names the holder of the keys in the message.
    """
    known = {scheme for family in families for scheme in family}
    for scheme in sorted(set(schemes) - known - set(suite.firmware.besides)):
        raise Rejected(
            "weak-key", f"{what} has a key for {scheme[:64]!r}, which is not in suite {suite.id}"
        )


def missing_families(
    schemes: Iterable[str], *, named: Iterable[str], families: Families, threshold: int
) -> list[str]:
    """The families that have too few of `schemes`, those of distinct keys that signed rightly.

    A plain TUF threshold counts keys of any kind. Here it is shared out among the kinds that the
    role's keys are of (`named`, their schemes): of a threshold t over n kinds, each family must
    reach t/n, rounded up. So 4 over Ed25519 and ML-DSA means two people with two keys each.
    """
    kinds = {
        next((family for family in families if scheme in family), (scheme,)) for scheme in named
    }
    wanted = -(-threshold // max(1, len(kinds)))
    signed = list(schemes)
    return [
        " or ".join(family)
        for family in families
        if sum(scheme in family for scheme in signed) < wanted
    ]
