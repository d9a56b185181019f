"""Which device a client certificate names, and which kind of certificate it is.

Owns the step from a TLS peer to a `DeviceIdentity`; nothing else makes one. The
serial number and model come from the certificate, never from a request.
"""

import enum
import hashlib
import ssl
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding

from limpet.crypto.chains import load_certificates, verify_chain
from limpet.crypto.keys import spki_sha256
from limpet.crypto.requests import Purpose
from limpet.crypto.suites import CURRENT, Suite
from limpet.errors import Rejected

__all__ = ["DeviceIdentity", "IdentityKind", "Unrecorded", "certificate_sha256", "identify"]


class IdentityKind(enum.Enum):
    """IEEE 802.1AR, 5."""

    PERMANENT = "IDevID"  # from the factory
    OPERATIONAL = "LDevID"  # from this service


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """A device that proved to hold the key of its certificate."""

    serial: str
    model: str
    kind: IdentityKind
    spki_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrecorded:
    """What a certificate says whose authority was replaced. A thief may have that one's key, so
    it names a device only once `Enrollment.verify_recorded` has found it in the record."""

    says: DeviceIdentity
    sha256: str  # of the certificate


def identify(
    certificate_der: bytes,
    *,
    factory_pem: bytes,
    operational_pem: bytes,
    roots_pem: bytes,
    former_pem: bytes = b"",
    now: datetime,
    suite: Suite = CURRENT,
) -> DeviceIdentity | Unrecorded:
    """The device behind a TLS connection, from the certificate that TLS has verified.

    Verified again here, because the answer depends on which authority issued it, and a
    certificate may expire while its connection lives. `former_pem` are authorities that were
    replaced. Raises `Rejected("unknown-certificate")`.
    """
    leaf_pem = ssl.DER_cert_to_PEM_cert(certificate_der).encode()
    leaf = load_certificates(leaf_pem)[0]
    replaced = [
        (IdentityKind.OPERATIONAL, certificate.public_bytes(Encoding.PEM), True)
        for certificate in (load_certificates(former_pem) if former_pem else ())
    ]
    for kind, issuer_pem, former in (
        (IdentityKind.PERMANENT, factory_pem, False),
        (IdentityKind.OPERATIONAL, operational_pem, False),
        *replaced,
    ):
        if leaf.issuer != load_certificates(issuer_pem)[0].subject:
            continue
        try:
            chain = verify_chain(
                leaf_pem + issuer_pem, roots_pem, now=now, purpose=Purpose.CLIENT, suite=suite
            )
        except Rejected as error:
            raise Rejected("unknown-certificate", error.message) from error
        identity = DeviceIdentity(
            serial=chain.serial,
            model=chain.model,
            kind=kind,
            spki_sha256=spki_sha256(leaf).hex(),
        )
        if not former:
            return identity
        return Unrecorded(says=identity, sha256=hashlib.sha256(certificate_der).hexdigest())
    raise Rejected("unknown-certificate", "the certificate is of no authority of this vendor")


def certificate_sha256(pem: bytes) -> str:
    """SHA-256 of the first certificate in `pem`, in DER."""
    return hashlib.sha256(load_certificates(pem)[0].public_bytes(Encoding.DER)).hexdigest()
