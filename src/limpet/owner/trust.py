"""Whether the peer is the device on the label: the decision that a claim rests on.

Owns the pin of the root, the address under which TLS checks a device, and the
check of the serial number in its certificate. The verification itself, numbered:

1. the root certificate has the pin that the label carries (RFC 7469, 2.4, for a root);
2. TLS 1.3 with a chain to that root alone, valid now, for server authentication;
3. the certificate names `<serial>.limpet.alt` (RFC 9476: a name for no resolver), which every
   device of the maker has alone, and by which it knows a client that trusts its maker's root;
4. its subject's serialNumber is the serial (IEEE 802.1AR, 8.6).

Address and host name that the owner typed prove nothing, so they are not checked:
a device is what its certificate says, wherever it is. Nothing here can be skipped.
"""

import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from limpet.crypto.chains import load_certificates
from limpet.crypto.keys import pin_text, spki_sha256
from limpet.crypto.tls import client_context
from limpet.errors import Rejected

__all__ = [
    "DeviceAddress",
    "VerifiedRoot",
    "device_context",
    "parse_device_url",
    "verify_root",
    "verify_serial",
]

HTTPS_PORT = 443
MAX_URL_CHARACTERS = 512


@dataclass(frozen=True, slots=True)
class VerifiedRoot:
    """A root certificate that the owner has reason to trust (only `verify_root` makes one)."""

    pem: bytes
    pin: str


@dataclass(frozen=True, slots=True)
class DeviceAddress:
    """Where to connect to; an IPv6 address is without brackets."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """As a person types it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


def verify_root(pem: bytes, *, pin: str | None) -> VerifiedRoot:
    """The one root certificate in `pem`, which must have `pin` if there is one.

    Without a pin the owner vouches for the file. Raises `Rejected("bad-certificate" |
    "wrong-root")`.
    """
    certificates = load_certificates(pem)
    if len(certificates) != 1:
        raise Rejected("bad-certificate", "the root file must hold one certificate")
    (certificate,) = certificates
    found = pin_text(spki_sha256(certificate))
    if pin is not None and found != pin:
        raise Rejected(
            "wrong-root",
            "this root certificate is not the one that the label names",
            hint="get the root certificate of this device's maker",
        )
    return VerifiedRoot(pem, found)


def verify_serial(certificate_der: bytes | None, serial: str) -> None:
    """Raise `Rejected("wrong-device")` unless the certificate is that of the device `serial`."""
    named: list[Any] = []
    if certificate_der is not None:
        try:
            subject = x509.load_der_x509_certificate(certificate_der).subject
            named = [name.value for name in subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)]
        except ValueError as error:
            raise Rejected("wrong-device", "the peer's certificate cannot be read") from error
    if named != [serial]:
        raise Rejected(
            "wrong-device",
            f"the peer is not the device {serial}",
            hint="check the address, and the serial number on the label",
        )


def device_context(root: VerifiedRoot, serial: str) -> ssl.SSLContext:
    """A TLS context that reaches the device `serial` and nobody else.

    The serial is checked at the end of the handshake, before a byte of a request is sent.
    """

    class SerialCheckedSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            verify_serial(self.getpeercert(binary_form=True), serial)

    context = client_context(roots_pem=root.pem)
    context.sslsocket_class = SerialCheckedSocket
    return context


def parse_device_url(text: str) -> DeviceAddress:
    """ "https://192.0.2.7:8443", or without the scheme. Raises `Rejected("bad-address")`."""
    url = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(url[:MAX_URL_CHARACTERS])
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    extra = parts.username or parts.query or parts.fragment or parts.path not in ("", "/")
    if parts.scheme != "https" or not host or extra:
        raise Rejected(
            "bad-address",
            "that is not the address of a device",
            hint="write https://HOST or https://HOST:PORT; devices speak nothing but https",
        )
    return DeviceAddress(host, HTTPS_PORT if port is None else port)
