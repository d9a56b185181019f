"""Detached signatures over whole files (CMS, RFC 5652), as RFC 8520 wants them for MUD files.

Owns their making only: who reads such a file verifies it with software of its own.
"""

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from limpet.crypto.keys import TlsKey
from limpet.crypto.policy import certificate_hash
from limpet.crypto.suites import CURRENT, Suite
from limpet.errors import Rejected

__all__ = ["sign_detached"]


def sign_detached(
    data: bytes, *, chain: list[x509.Certificate], key: TlsKey, suite: Suite = CURRENT
) -> bytes:
    """A signature over `data` as it is, in DER, with the signer's certificate and its issuers.

    `chain` begins with the signer's, which must be for `key` and for signing. Raises `Rejected`.
    """
    signer, *issuers = chain
    if signer.public_key() != key.public_key():
        raise Rejected("bad-key", "the key does not fit the signer's certificate")
    try:
        usage = signer.extensions.get_extension_for_class(x509.KeyUsage).value
        if not usage.digital_signature:
            raise Rejected("bad-certificate", "the certificate is not for signing")
    except x509.ExtensionNotFound:
        pass  # then it is for anything (RFC 5280, 4.2.1.3)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(data)
    builder = builder.add_signer(signer, key, certificate_hash(suite))
    for issuer in issuers:
        builder = builder.add_certificate(issuer)
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    return builder.sign(serialization.Encoding.DER, options)
