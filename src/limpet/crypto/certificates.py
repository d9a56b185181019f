"""X.509 (RFC 5280): the authorities, and the kinds of certificate they issue.

IDevID and LDevID as in IEEE 802.1AR: the permanent identity signed at the
factory, and the short-lived operational certificates enrolled over EST; and what an
owner's household authority issues for browsers. Signs nothing but a
`VerifiedRequest` or a key of the vendor's own service.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from limpet.crypto.chains import load_certificates
from limpet.crypto.keys import TlsKey, generate_key, tls_key_from_pem
from limpet.crypto.names import HOME_DOMAINS, Network, own_name, pinned_name
from limpet.crypto.policy import certificate_hash
from limpet.crypto.requests import Purpose, VerifiedRequest, device_subject
from limpet.crypto.suites import CURRENT, Suite
from limpet.errors import Misuse, Rejected

__all__ = [
    "MUD_URL",
    "Issuer",
    "issue_device_identity",
    "issue_household",
    "issue_operational",
    "issue_service",
    "load_issuer",
    "make_household",
    "make_intermediate",
    "make_root",
    "self_made_name",
]

BACKDATE = timedelta(hours=1)  # a device's clock may be a little behind
MUD_URL = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.25")  # id-pe-mud-url of RFC 8520
NO_EXPIRY = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # IEEE 802.1AR 8.7: no expiry


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """A certificate authority: its certificate, its key, and what a client needs to chain to it."""

    certificate: x509.Certificate
    key: TlsKey
    chain_pem: bytes  # this certificate and its issuers, without the root

    def certificate_pem(self) -> bytes:
        """The authority's own certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def make_root(
    common_name: str, *, now: datetime, days: int = 365 * 30, suite: Suite = CURRENT
) -> Issuer:
    """A new self-signed root that may have one level of authorities below it."""
    key = generate_key(suite)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = _builder(name, name, key.public_key(), now, now + timedelta(days=days))
    certificate = _as_authority(builder, key, path_length=1).sign(key, certificate_hash(suite))
    return Issuer(certificate=certificate, key=key, chain_pem=b"")


def self_made_name(serial: str) -> str:
    """What a device names the authority that it makes up until its vendor's has signed."""
    return f"{serial} (self-signed)"


def make_intermediate(
    root: Issuer,
    common_name: str,
    *,
    now: datetime,
    days: int = 365 * 20,
    suite: Suite = CURRENT,
) -> Issuer:
    """A new authority below `root` that issues end certificates only."""
    key = generate_key(suite)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    until = min(now + timedelta(days=days), root.certificate.not_valid_after_utc)
    builder = _builder(name, root.certificate.subject, key.public_key(), now, until)
    builder = _as_authority(builder, key, path_length=0)
    certificate = _chained(builder, root).sign(root.key, certificate_hash(suite))
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    return Issuer(certificate=certificate, key=key, chain_pem=pem)


def make_household(
    common_name: str, *, networks: Sequence[Network], now: datetime, days: int = 365 * 5
) -> Issuer:
    """A household's own root: whoever trusts it trusts it for names and addresses of a home only.

    A constraint on one kind of name leaves the other kinds free (RFC 5280, 4.2.1.10), so that
    both kinds that a server has are constrained. It issues end certificates of servers only.
    Raises `Misuse` without a network.
    """
    if not networks:
        raise Misuse("without a network every address would be permitted")
    key = generate_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    builder = _builder(name, name, key.public_key(), now, now + timedelta(days=days))
    builder = _as_authority(builder, key, path_length=0)
    permitted: list[x509.GeneralName] = [x509.DNSName(domain) for domain in HOME_DOMAINS]
    permitted += [x509.IPAddress(network) for network in networks]
    builder = builder.add_extension(x509.NameConstraints(permitted, None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([Purpose.SERVER.oid]), critical=False)
    certificate = builder.sign(key, certificate_hash())
    return Issuer(certificate=certificate, key=key, chain_pem=b"")


def load_issuer(
    certificate_pem: bytes, key_pem: bytes, *, passphrase: bytes | None = None
) -> Issuer:
    """The authority in two files. Raises `Rejected` if they are damaged or do not fit."""
    certificate = load_certificates(certificate_pem)[0]
    key = tls_key_from_pem(key_pem, passphrase=passphrase)
    if certificate.public_key() != key.public_key():
        raise Rejected("bad-key", "the authority's key does not fit its certificate")
    is_root = certificate.issuer == certificate.subject
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    return Issuer(certificate=certificate, key=key, chain_pem=b"" if is_root else pem)


def issue_device_identity(
    issuer: Issuer,
    request: VerifiedRequest,
    *,
    now: datetime,
    suite: Suite = CURRENT,
    mud_url: str = "",
) -> bytes:
    """The IDevID for a verified request: no expiry, client authentication; PEM with issuers.

    `mud_url` is where a network finds what the device needs (RFC 8520, 11).
    """
    if request.purpose is not Purpose.CLIENT:
        raise Rejected("wrong-purpose", "an IDevID is for client authentication")
    subject = device_subject(request.model, request.serial)
    builder = _builder(subject, issuer.certificate.subject, request.public_key, now, NO_EXPIRY)
    if mud_url:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(MUD_URL, _ia5_string(mud_url)), critical=False
        )
    return _finish(_as_leaf(builder, Purpose.CLIENT), issuer, suite)


def issue_operational(
    issuer: Issuer,
    request: VerifiedRequest,
    *,
    now: datetime,
    lifetime: timedelta,
    addresses: Sequence[str] = (),
    suite: Suite = CURRENT,
) -> bytes:
    """An LDevID for a verified request; a server's is named `<serial>.local`, localhost, the name
    of pinned clients and `addresses` (which the caller has approved). PEM with issuers."""
    subject = device_subject(request.model, request.serial)
    until = now + lifetime
    builder = _builder(subject, issuer.certificate.subject, request.public_key, now, until)
    if request.purpose is Purpose.SERVER:
        hosts = (own_name(request.serial), "localhost", pinned_name(request.serial))
        builder = _named(builder, hosts, addresses)
    return _finish(_as_leaf(builder, request.purpose), issuer, suite)


def issue_household(
    household: Issuer,
    request: VerifiedRequest,
    *,
    now: datetime,
    lifetime: timedelta,
    hostnames: Sequence[str],
    addresses: Sequence[str],
) -> bytes:
    """A server's certificate for the home's names of a device. PEM with the household's."""
    if request.purpose is not Purpose.SERVER:
        raise Rejected("wrong-purpose", "a household's certificate is for a server")
    subject = device_subject(request.model, request.serial)
    until = min(now + lifetime, household.certificate.not_valid_after_utc)
    authority = household.certificate
    builder = _builder(subject, authority.subject, request.public_key, now, until)
    builder = _as_leaf(_named(builder, hostnames, addresses), request.purpose)
    return _finish(builder, household, CURRENT) + household.certificate_pem()


def issue_service(
    issuer: Issuer,
    key: TlsKey,
    *,
    hostnames: Sequence[str],
    addresses: Sequence[str] = (),
    now: datetime,
    days: int = 90,
    suite: Suite = CURRENT,
) -> bytes:
    """The certificate of the vendor's own server for `key`. PEM with issuers."""
    if not hostnames:
        raise Misuse("a service certificate needs a host name")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostnames[0][:64])])
    until = now + timedelta(days=days)
    builder = _builder(subject, issuer.certificate.subject, key.public_key(), now, until)
    builder = _named(builder, hostnames, addresses)
    return _finish(_as_leaf(builder, Purpose.SERVER), issuer, suite)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: CertificatePublicKeyTypes,
    now: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _as_authority(
    builder: x509.CertificateBuilder, key: TlsKey, *, path_length: int
) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(True, path_length), critical=True)
    return builder.add_extension(_usage(certificates=True), critical=True)


def _as_leaf(builder: x509.CertificateBuilder, purpose: Purpose) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(False, None), critical=True)
    builder = builder.add_extension(_usage(certificates=False), critical=True)
    return builder.add_extension(x509.ExtendedKeyUsage([purpose.oid]), critical=False)


def _named(
    builder: x509.CertificateBuilder, hostnames: Sequence[str], addresses: Sequence[str]
) -> x509.CertificateBuilder:
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in hostnames]
    names += [x509.IPAddress(ip_address(address)) for address in addresses]
    return builder.add_extension(x509.SubjectAlternativeName(names), critical=False)


def _chained(builder: x509.CertificateBuilder, issuer: Issuer) -> x509.CertificateBuilder:
    identifier = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value)
    return builder.add_extension(authority, critical=False)


def _finish(builder: x509.CertificateBuilder, issuer: Issuer, suite: Suite) -> bytes:
    certificate = _chained(builder, issuer).sign(issuer.key, certificate_hash(suite))
    return certificate.public_bytes(serialization.Encoding.PEM) + issuer.chain_pem


def _ia5_string(text: str) -> bytes:
    """`text` in DER (X.690, 8.1.3 and 8.23). Raises `Misuse` if it is not ASCII or too long."""
    data = text.encode("ascii", "replace")
    if not text.isascii() or len(data) > 0xFFFF:
        raise Misuse("not a string for a certificate")
    if len(data) < 0x80:
        length = bytes([len(data)])
    else:
        octets = len(data).to_bytes((len(data).bit_length() + 7) // 8, "big")
        length = bytes([0x80 | len(octets)]) + octets
    return b"\x16" + length + data


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )
