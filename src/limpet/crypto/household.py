"""Whether a chain that an owner brings may be served to browsers: the device's decision.

Numbered as they run: 1. form: a leaf and the authority that issued it; 2. both within the
suite; 3. the leaf is for this device's key and serial, and no authority; 4. for a server and
nothing else, valid for at most `LONGEST_LIFE`; 5. it names nothing but a home's names and
addresses; 6. the authority issued it, for each of these names, within its constraints.

A device believes no clock, so 6. is judged at the first moment at which both have begun.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID

from limpet.crypto.chains import load_certificates
from limpet.crypto.names import verify_home_address, verify_home_name
from limpet.crypto.policy import verify_certificate_algorithms
from limpet.crypto.requests import Purpose
from limpet.crypto.suites import CURRENT, Suite
from limpet.errors import Rejected

__all__ = ["LONGEST_LIFE", "VerifiedHousehold", "verify_constrained", "verify_household"]

LONGEST_LIFE = timedelta(days=398)
"""What browsers bear at most (CA/Browser Forum, Baseline Requirements 6.3.2)."""

MAX_NAMES = 16
MAX_BYTES = 16 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedHousehold:
    """A chain that may be served (only `verify_household` makes one)."""

    chain_pem: bytes
    leaf: x509.Certificate
    authority: x509.Certificate
    hostnames: tuple[str, ...]
    addresses: tuple[str, ...]

    @property
    def not_after(self) -> datetime:
        """UTC."""
        return self.leaf.not_valid_after_utc


def verify_household(
    chain_pem: bytes, *, key: PublicKeyTypes, serial: str, suite: Suite = CURRENT
) -> VerifiedHousehold:
    """Take the steps above. Raises `Rejected("bad-certificate" | "wrong-certificate" | "weak-…" |
    "wrong-purpose" | "foreign-name")`."""
    # 1.
    if len(chain_pem) > MAX_BYTES:
        raise Rejected("bad-certificate", f"a chain of more than {MAX_BYTES} bytes")
    chain = load_certificates(chain_pem)
    if len(chain) != 2:
        raise Rejected("bad-certificate", "the chain is the certificate and its household's")
    leaf, authority = chain
    # 2.
    for certificate in chain:
        verify_certificate_algorithms(certificate, suite)
    # 3.
    named = [one.value for one in leaf.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)]
    if leaf.public_key() != key or named != [serial]:
        raise Rejected("wrong-certificate", "the certificate is for another key or device")
    # 4.
    _verify_use(leaf)
    # 5.
    hostnames, addresses = _names_of(leaf)
    # 6.
    _verify_issued(leaf, authority, hostnames, addresses)
    return VerifiedHousehold(
        chain_pem=chain_pem,
        leaf=leaf,
        authority=authority,
        hostnames=hostnames,
        addresses=addresses,
    )


def verify_constrained(authority: x509.Certificate) -> None:
    """Raise `Rejected("unconstrained")` unless `authority` can speak for nothing but a home.

    For whoever lets a browser trust it.
    """
    try:
        extensions = authority.extensions
        found = extensions.get_extension_for_class(x509.NameConstraints)
        basic = extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise Rejected("unconstrained", "this authority is not held to a home's names") from error
    permitted = found.value.permitted_subtrees or []
    domains = [name.value for name in permitted if isinstance(name, x509.DNSName)]
    networks = [name.value for name in permitted if isinstance(name, x509.IPAddress)]
    for domain in domains:
        verify_home_name(f"x.{domain}")
    for network in networks:
        verify_home_address(str(getattr(network, "network_address", network)))
        verify_home_address(str(getattr(network, "broadcast_address", network)))
    held = found.critical and bool(domains) and bool(networks) and basic.path_length == 0
    if not held or list(usage) != [Purpose.SERVER.oid]:
        raise Rejected("unconstrained", "this authority is not held to a home's names")


def _verify_use(leaf: x509.Certificate) -> None:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise Rejected("wrong-purpose", "the certificate names no purpose") from error
    if basic.ca or list(usage) != [Purpose.SERVER.oid]:
        raise Rejected("wrong-purpose", "the certificate is not that of a server only")
    if leaf.not_valid_after_utc - leaf.not_valid_before_utc > LONGEST_LIFE:
        message = f"a household's certificate is valid for {LONGEST_LIFE.days} days at most"
        raise Rejected("bad-certificate", message)


def _names_of(leaf: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = names.get_values_for_type(x509.DNSName)
        addresses = names.get_values_for_type(x509.IPAddress)
    except (x509.ExtensionNotFound, ValueError) as error:
        raise Rejected("foreign-name", "the certificate names no host") from error
    count = len(list(names))
    if not hosts or len(hosts) + len(addresses) != count or count > MAX_NAMES:
        message = f"the certificate has at most {MAX_NAMES} names, each of a host or an address"
        raise Rejected("foreign-name", message)
    return (
        tuple(verify_home_name(host) for host in hosts),
        tuple(verify_home_address(str(address)) for address in addresses),
    )


def _verify_issued(
    leaf: x509.Certificate,
    authority: x509.Certificate,
    hostnames: tuple[str, ...],
    addresses: tuple[str, ...],
) -> None:
    builder = (
        verification.PolicyBuilder()
        .store(verification.Store([authority]))
        .time(max(leaf.not_valid_before_utc, authority.not_valid_before_utc))
        .max_chain_depth(0)
    )
    subjects: list[x509.DNSName | x509.IPAddress] = [x509.DNSName(host) for host in hostnames]
    subjects += [x509.IPAddress(ip_address(address)) for address in addresses]
    try:
        for subject in subjects:
            builder.build_server_verifier(subject).verify(leaf, [])
    except (verification.VerificationError, ValueError) as error:
        raise Rejected("bad-certificate", f"the certificate does not verify: {error}") from error
