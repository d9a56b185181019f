"""Keys and certificates: the factory's identity, and enrollment over EST (RFC 7030)."""

from typing import Annotated

from msgspec import Meta

from limpet.device.link.messages.terms import Name
from limpet.wire.codec import Message

__all__ = [
    "Certificate",
    "EnrollCertificate",
    "EnrollFeed",
    "EnrollStart",
    "EnrollStep",
    "GenerateIdentity",
    "IdentityRequest",
    "StoreIdentity",
]


class EnrollCertificate(Message, frozen=True, kw_only=True, tag=True):
    """A certificate for the gateway's own key (LDevID). Answered by `Certificate`."""

    csr_pem: Annotated[str, Meta(max_length=8192)]


class Certificate(Message, frozen=True, kw_only=True, tag=True):
    """Answer to `EnrollCertificate`: the new certificate, then its issuers (PEM)."""

    chain_pem: str


class EnrollStart(Message, frozen=True, kw_only=True, tag=True):
    """Begin EST simple enrollment (RFC 7030, 4.2) as this device: the keeper speaks TLS 1.3 with
    the IDevID as a state machine, the caller moves the bytes. Answered by `EnrollStep`."""

    csr_pem: Annotated[str, Meta(max_length=8192)]
    host: Name  # verified against the server's certificate


class EnrollFeed(Message, frozen=True, kw_only=True, tag=True):
    """Bytes that the server sent (empty: it closed). Answered by `EnrollStep`."""

    received: Annotated[bytes, Meta(max_length=64 << 10)]


class EnrollStep(Message, frozen=True, kw_only=True, tag=True):
    """Bytes to send, and the certificate chain once there is one."""

    send: bytes = b""
    chain_pem: str = ""
    finished: bool = False


class GenerateIdentity(Message, frozen=True, kw_only=True, tag=True):
    """Factory only: make the IDevID key. Answered by `IdentityRequest`."""

    model: Name
    hardware_revision: Name
    serial: Name


class IdentityRequest(Message, frozen=True, kw_only=True, tag=True):
    """The PKCS#10 request for the IDevID."""

    csr_pem: str


class StoreIdentity(Message, frozen=True, kw_only=True, tag=True):
    """Factory only: keep the IDevID certificate chain if it fits the key."""

    chain_pem: str
