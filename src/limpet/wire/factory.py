"""The conversation between a factory station and a new device, over its console.

One JSON document a line, at most `LINE_BYTES`. The station gives the device its
name, the device makes its own key and claim code; the private key never appears
here, and the claim code appears once, for the label.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from limpet.wire.codec import Message, Moment
from limpet.wire.release import Count, ModelName

__all__ = [
    "LINE_BYTES",
    "CertificateRequest",
    "DeviceReply",
    "Failure",
    "FromStation",
    "Identify",
    "InstallIdentity",
    "Manufactured",
    "SeenVersion",
    "SeenVersions",
]

LINE_BYTES = 64 << 10

KeyId = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Serial = Annotated[str, Meta(pattern=r"^[A-Z0-9][A-Z0-9-]{3,31}\Z")]


class SeenVersion(Message, frozen=True, kw_only=True):
    """The version of an offline role that was published when the device was made, and its keys."""

    version: Count
    keys: Annotated[tuple[KeyId, ...], Meta(min_length=1, max_length=16)]  # sorted


SeenVersions = Annotated[dict[str, SeenVersion], Meta(max_length=8)]
"""By role."""


class Identify(Message, frozen=True, kw_only=True, tag="identify", omit_defaults=True):
    """Station to device: who you are. The device answers with `CertificateRequest`."""

    model: ModelName
    hardware_revision: str
    serial: Serial
    manufactured_at: Moment
    seen: SeenVersions = msgspec.field(default_factory=dict)  # what the device never goes behind


class CertificateRequest(Message, frozen=True, kw_only=True, tag="certificate-request"):
    """Device to station: a PKCS#10 request (RFC 2986, PEM) signed by the key made on the device."""

    csr_pem: str


class InstallIdentity(Message, frozen=True, kw_only=True, tag="install-identity"):
    """Station to device: the IDevID certificate, then its issuers, without the root (PEM)."""

    chain_pem: str


class Manufactured(Message, frozen=True, kw_only=True, tag="manufactured"):
    """Device to station: ready; the claim code is for the label and kept nowhere else."""

    claim_code: str


class Failure(Message, frozen=True, kw_only=True, tag="failure"):
    """Device to station: the device could not go on."""

    reason: str
    message: str


FromStation = Identify | InstallIdentity
DeviceReply = CertificateRequest | Manufactured | Failure
