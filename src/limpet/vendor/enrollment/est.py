"""The bodies of EST: base64 around DER, as real clients send and read it.

Owns the encoding only. libest wraps its base64 and strongSwan does not, so both
are read; replies are one unwrapped line with one newline, which both can read
(RFC 7030, 4.2.1; RFC 8951, 3: Content-Transfer-Encoding is ignored).
"""

import base64
import binascii

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from limpet.crypto.chains import load_certificates
from limpet.errors import Rejected

__all__ = ["MEDIA_TYPE", "REQUEST_BYTES", "decode_request", "encode_certificates"]

REQUEST_BYTES = 8192
MEDIA_TYPE = "application/pkcs7-mime; smime-type=certs-only"
_WHITESPACE = b" \t\r\n"


def decode_request(body: bytes) -> bytes:
    """The PKCS#10 request in an EST body, as PEM. Raises `Rejected("malformed" | "too-large")`."""
    if len(body) > REQUEST_BYTES:
        raise Rejected("too-large", f"a certificate request has at most {REQUEST_BYTES} bytes")
    try:
        der = base64.b64decode(body.translate(None, _WHITESPACE), validate=True)
        return x509.load_der_x509_csr(der).public_bytes(Encoding.PEM)
    except (binascii.Error, ValueError, x509.InvalidVersion) as error:
        raise Rejected("malformed", "the body is not a base64 PKCS#10 request") from error


def encode_certificates(pem: bytes) -> bytes:
    """The certificates in `pem` as a certs-only CMS message (RFC 7030, 4.1.3), base64, one line."""
    der = pkcs7.serialize_certificates(load_certificates(pem), Encoding.DER)
    return base64.b64encode(der) + b"\n"
