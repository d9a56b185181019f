"""Verification of device and service certificates outside a TLS handshake.

Path building and validation are `cryptography`'s (RFC 5280, 6); this adds what
limpet asks of every certificate: the suite, and the device named in it.
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID

from limpet.crypto.policy import verify_certificate_algorithms, verify_key
from limpet.crypto.requests import Purpose
from limpet.crypto.suites import CURRENT, Suite
from limpet.errors import Rejected

__all__ = ["VerifiedChain", "load_certificates", "possible_moment", "verify_chain"]

MAX_CHAIN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedChain:
    """A device's certificate that chains to a trusted root and was valid at the given time."""

    leaf: x509.Certificate
    model: str
    serial: str

    @property
    def not_after(self) -> datetime:
        """UTC."""
        return self.leaf.not_valid_after_utc


_LIBRARY_ERRORS = (
    TypeError,  # seen: a name whose string type its attribute does not allow
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def load_certificates(pem: bytes) -> list[x509.Certificate]:
    """All certificates in `pem`, each with a usable key. Raises `Rejected("bad-certificate")`."""
    try:
        certificates = x509.load_pem_x509_certificates(pem)
        for certificate in certificates:
            # Parsed here, so that nobody trips over a damaged one later.
            _ = certificate.public_key(), certificate.subject, certificate.extensions
        return certificates
    except _LIBRARY_ERRORS as error:
        raise Rejected("bad-certificate", "not a certificate in PEM") from error


def possible_moment(chain_pem: bytes, *, floor: datetime) -> datetime:
    """The first moment, not before `floor`, at which all of the chain has begun.

    For `verify_chain` on a device that knows only which time it certainly is past: a chain that
    ended before the floor is refused at that moment, one that begins after it is not. Raises
    `Rejected("bad-certificate")`.
    """
    return max(floor, *(one.not_valid_before_utc for one in load_certificates(chain_pem)), floor)


def verify_chain(
    chain_pem: bytes,
    roots_pem: bytes,
    *,
    now: datetime,
    purpose: Purpose,
    suite: Suite = CURRENT,
) -> VerifiedChain:
    """Verify a device's chain. Raises `Rejected("bad-certificate" | "weak-…" | "wrong-purpose")`.

    Numbered as they run: 1. form; 2. every certificate within the suite; 3. path to a root at
    time `now`, and its key within the suite; 4. purpose; 5. the subject names one model and one
    serial. The caller still owes: the serial is the one it expects, and the peer holds the key.
    """
    # 1.
    chain, roots = load_certificates(chain_pem), load_certificates(roots_pem)
    if len(chain) > MAX_CHAIN:
        raise Rejected("bad-certificate", f"a chain of more than {MAX_CHAIN} certificates")
    leaf, *intermediates = chain
    # 2.
    for certificate in chain:
        verify_certificate_algorithms(certificate, suite)
    # 3.
    root = _verify_path(leaf, intermediates, roots, now)
    verify_key(root.public_key(), suite)
    # 4.
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise Rejected("wrong-purpose", "the certificate names no purpose") from error
    if purpose.oid not in usage:
        raise Rejected("wrong-purpose", f"the certificate is not for {purpose.value}")
    # 5.
    return VerifiedChain(
        leaf=leaf,
        model=_named(leaf, NameOID.COMMON_NAME),
        serial=_named(leaf, NameOID.SERIAL_NUMBER),
    )


def _verify_path(
    leaf: x509.Certificate,
    intermediates: list[x509.Certificate],
    roots: list[x509.Certificate],
    now: datetime,
) -> x509.Certificate:
    """The root at the end of the path."""
    # Device certificates carry no subjectAltName when they are clients, so the Web PKI policy
    # for leaves does not fit; authorities keep it whole.
    leaves = verification.ExtensionPolicy.permit_all()
    authorities = verification.ExtensionPolicy.webpki_defaults_ca()
    builder = (
        verification.PolicyBuilder()
        .store(verification.Store(roots))
        .time(now)
        .max_chain_depth(MAX_CHAIN)
        .extension_policies(ca_policy=authorities, ee_policy=leaves)
    )
    try:
        return builder.build_client_verifier().verify(leaf, intermediates).chain[-1]
    except (verification.VerificationError, ValueError) as error:
        raise Rejected("bad-certificate", f"the certificate does not verify: {error}") from error


def _named(leaf: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    values = leaf.subject.get_attributes_for_oid(oid)
    if len(values) != 1 or not isinstance(values[0].value, str):
        raise Rejected("bad-certificate", "the subject does not name one model and one serial")
    return values[0].value
