"""Certificate requests (PKCS#10, RFC 2986): made on the device, verified by whoever signs.

A request says model and serial number in its subject, and what the certificate
is for in its extended key usage. Only `verify_request` makes a `VerifiedRequest`,
and only that can be signed.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from limpet.crypto.keys import TlsKey
from limpet.crypto.policy import certificate_hash, verify_certificate_algorithms
from limpet.crypto.suites import CURRENT, Suite
from limpet.errors import Rejected

__all__ = ["Purpose", "VerifiedRequest", "device_subject", "make_request", "verify_request"]

REQUEST_BYTES = 8192
MAX_NAMES = 16


class Purpose(enum.Enum):
    """What an operational certificate is for (RFC 5280, 4.2.1.12)."""

    SERVER = "serverAuth"
    CLIENT = "clientAuth"

    @property
    def oid(self) -> x509.ObjectIdentifier:
        """The extended key usage."""
        if self is Purpose.SERVER:
            return ExtendedKeyUsageOID.SERVER_AUTH
        return ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRequest:
    """A request whose own signature holds and whose key meets the suite."""

    model: str
    serial: str
    purpose: Purpose
    public_key: ec.EllipticCurvePublicKey
    addresses: tuple[str, ...]  # IP addresses that it asks to be named for


def device_subject(model: str, serial: str) -> x509.Name:
    """The subject of every device certificate (IEEE 802.1AR, 8.6)."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, model),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, serial),
        ]
    )


def make_request(
    key: TlsKey,
    *,
    model: str,
    serial: str,
    purpose: Purpose,
    addresses: Sequence[str] = (),
    suite: Suite = CURRENT,
) -> bytes:
    """A PEM request for `key`, signed with it."""
    builder = x509.CertificateSigningRequestBuilder(device_subject(model, serial))
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose.oid]), critical=False)
    if addresses:
        names = [x509.IPAddress(ip_address(address)) for address in addresses]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, certificate_hash(suite)).public_bytes(serialization.Encoding.PEM)


def verify_request(pem: bytes, *, suite: Suite = CURRENT) -> VerifiedRequest:
    """Check form, own signature (proof of possession), key and names; raise `Rejected`."""
    if len(pem) > REQUEST_BYTES:
        raise Rejected("too-large", f"certificate request over {REQUEST_BYTES} bytes")
    try:
        request = x509.load_pem_x509_csr(pem)
        subject, extensions = request.subject, request.extensions
        valid = request.is_signature_valid
        key = request.public_key()
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as bad:
        raise Rejected("malformed-request", f"not a certificate request: {bad}") from bad
    except Exception as bad:  # cryptography raises its own UnsupportedAlgorithm for unknown keys
        raise Rejected("malformed-request", "unsupported certificate request") from bad
    verify_certificate_algorithms(request, suite)
    if not valid:
        raise Rejected("bad-signature", "the request is not signed by the key that it holds")
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Rejected("weak-key", "a device's key is an ECDSA key")
    return VerifiedRequest(
        model=_one(subject, NameOID.COMMON_NAME),
        serial=_one(subject, NameOID.SERIAL_NUMBER),
        purpose=_purpose(extensions),
        public_key=key,
        addresses=_addresses(extensions),
    )


def _one(subject: x509.Name, oid: x509.ObjectIdentifier) -> str:
    values = subject.get_attributes_for_oid(oid)
    if len(values) != 1 or not isinstance(values[0].value, str):
        raise Rejected("malformed-request", "the subject needs one commonName, one serialNumber")
    return values[0].value


def _purpose(extensions: x509.Extensions) -> Purpose:
    try:
        usages = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return Purpose.CLIENT
    for purpose in Purpose:
        if usages == {purpose.oid}:
            return purpose
    raise Rejected("malformed-request", "a request is for serverAuth or for clientAuth, not more")


def _addresses(extensions: x509.Extensions) -> tuple[str, ...]:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    found = tuple(str(address) for address in names.get_values_for_type(x509.IPAddress))
    if len(list(names)) > MAX_NAMES or len(found) != len(list(names)):
        raise Rejected("malformed-request", "a device may ask for its IP addresses only")
    return found
