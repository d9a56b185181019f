"""Enrollment over EST (RFC 7030): what goes over the wire, for the side that asks.

Owns path, media types, bounds and the encodings of request and reply. No socket,
no TLS, no HTTP, and no decision about a certificate: what comes out of
`decode_certificates` is only well formed, not trusted.
"""

import base64
import binascii
import warnings

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from limpet.errors import Rejected

__all__ = [
    "REPLY_BYTES",
    "REQUEST_HEADERS",
    "SIMPLE_ENROLL",
    "decode_certificates",
    "encode_request",
    "to_pem",
]

SIMPLE_ENROLL = "/.well-known/est/simpleenroll"
REQUEST_HEADERS = (
    ("Content-Type", "application/pkcs10"),
    ("Content-Transfer-Encoding", "base64"),  # ignored by RFC 8951, expected by older servers
)
REPLY_BYTES = 64 << 10
"""Largest reply that is read; a chain of four certificates is about 6 KiB."""

MOST_CERTIFICATES = 8
_BEGIN, _END = "-----BEGIN CERTIFICATE REQUEST-----", "-----END CERTIFICATE REQUEST-----"


def encode_request(csr_pem: str) -> bytes:
    """The body of simple enrollment (RFC 7030, 4.2.1): base64 of the DER, one line."""
    text = csr_pem.strip()
    if not text.startswith(_BEGIN) or not text.endswith(_END):
        raise Rejected("malformed-request", "not a certificate request in PEM")
    packed = "".join(text.removeprefix(_BEGIN).removesuffix(_END).split())
    try:
        base64.b64decode(packed, validate=True)
    except binascii.Error as error:
        raise Rejected("malformed-request", "not a certificate request in PEM") from error
    return packed.encode("ascii") + b"\n"


def decode_certificates(body: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a certs-only reply (RFC 7030, 4.2.3), in no order that means anything.

    Wrapped and unwrapped base64 are read. Raises `Rejected("malformed-reply" | "too-large")`.
    """
    if len(body) > REPLY_BYTES:
        raise Rejected("too-large", f"a reply over {REPLY_BYTES} bytes")
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BER is read too, without a word on stderr
            certificates = pkcs7.load_der_pkcs7_certificates(der)
    except (ValueError, binascii.Error) as error:
        raise Rejected("malformed-reply", "the reply holds no certificates") from error
    except Exception as error:  # cryptography raises UnsupportedAlgorithm for other CMS content
        raise Rejected("malformed-reply", "the reply is no certs-only message") from error
    if not 1 <= len(certificates) <= MOST_CERTIFICATES:
        raise Rejected("malformed-reply", f"the reply holds {len(certificates)} certificates")
    return tuple(certificates)


def to_pem(certificates: tuple[x509.Certificate, ...]) -> bytes:
    """The certificates one after the other."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
