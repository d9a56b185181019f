"""What the keeper puts the device's name to, and which certificate it accepts in return.

Pure decisions over requests and certificates; no key, no TLS, no clock: `floor` is the
time that is certainly past.
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from limpet.crypto.chains import possible_moment, verify_chain
from limpet.crypto.requests import Purpose, VerifiedRequest, verify_request
from limpet.errors import Rejected
from limpet.wire.enrollment import to_pem

__all__ = ["EndorsedRequest", "Identity", "verify_endorsable", "verify_enrolled", "verify_identity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this device is, by its IDevID."""

    model: str
    serial: str
    public_key: PublicKeyTypes


@dataclass(frozen=True, slots=True, kw_only=True)
class EndorsedRequest:
    """A request that the keeper may send as this device."""

    pem: str
    request: VerifiedRequest


def verify_identity(
    chain_pem: bytes,
    roots_pem: bytes,
    *,
    floor: datetime,
    public_key: PublicKeyTypes,
) -> Identity:
    """The identity that an IDevID chain gives to the key. Raises `Rejected`."""
    moment = possible_moment(chain_pem, floor=floor)
    verified = verify_chain(chain_pem, roots_pem, now=moment, purpose=Purpose.CLIENT)
    if verified.leaf.public_key() != public_key:
        raise Rejected("wrong-key", "the certificate is not for this device's key")
    return Identity(model=verified.model, serial=verified.serial, public_key=public_key)


def verify_endorsable(csr_pem: str, identity: Identity) -> EndorsedRequest:
    """A request for this very device and for a key of its own. Raises `Rejected`."""
    request = verify_request(csr_pem.encode("ascii", "replace"))
    if (request.model, request.serial) != (identity.model, identity.serial):
        raise Rejected("not-mine", "the request names another device")
    if request.public_key == identity.public_key:
        raise Rejected("not-mine", "the permanent key gets no operational certificate")
    return EndorsedRequest(pem=csr_pem, request=request)


def verify_enrolled(
    certificates: tuple[x509.Certificate, ...],
    endorsed: EndorsedRequest,
    roots_pem: bytes,
    *,
    floor: datetime,
) -> bytes:
    """The chain (PEM) for the endorsed request, its leaf first. Raises `Rejected`.

    1. One certificate is for the request's key. 2. It chains to the device root, for the
    purpose asked. 3. It names this device.
    """
    # 1.
    wanted = endorsed.request
    leaves = [one for one in certificates if one.public_key() == wanted.public_key]
    if len(leaves) != 1:
        raise Rejected("wrong-key", "the reply has no certificate for the key asked for")
    issuers = tuple(
        one for one in certificates if one is not leaves[0] and one.subject != one.issuer
    )
    chain = to_pem((leaves[0], *issuers))
    # 2.
    moment = possible_moment(chain, floor=floor)
    verified = verify_chain(chain, roots_pem, now=moment, purpose=wanted.purpose)
    # 3.
    if (verified.model, verified.serial) != (wanted.model, wanted.serial):
        raise Rejected("not-mine", "the certificate names another device")
    return chain
