"""What the gate said of a release, signed: an in-toto statement in a DSSE envelope.

Owns the form (in-toto Statement v1 with the predicate test-result v0.1; DSSE v1.0.2) and its
verification. `verify_attestation` is the only maker of a `VerifiedAttestation`. Knows no rule:
what the rules are called travels as text.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from limpet.crypto.attesting import AttestingKey, PublicKey, has_signed, key_id
from limpet.errors import Rejected
from limpet.wire.codec import Moment, decode_json
from limpet.wire.release import Digest

__all__ = [
    "ATTESTATION_BYTES",
    "GATE_KEYS_FILE",
    "Attestation",
    "Result",
    "Subject",
    "VerifiedAttestation",
    "attestation_path",
    "open_attestation",
    "seal_attestation",
    "signed_attestation",
    "verify_attestation",
]

ATTESTATION_BYTES = 256 << 10
"""Largest envelope that anyone reads."""

GATE_KEYS_FILE = "gate.pem"
"""In the directory of trust: the public keys whose word on a release counts."""

_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_NAME = Annotated[str, Meta(max_length=128)]
_Many = Meta(max_length=256)


class Result(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The predicate, https://in-toto.io/attestation/test-result/v0.1: rules by what they found.

    A rule that could not look is among the failed ones. `report` is the gate's own, in full.
    """

    result: Literal["PASSED", "WARNED", "FAILED"]
    configuration: Annotated[tuple[dict[str, Any], ...], _Many]
    passed_tests: Annotated[tuple[_NAME, ...], _Many] = ()
    failed_tests: Annotated[tuple[_NAME, ...], _Many] = ()
    report: dict[str, Any] = msgspec.field(default_factory=dict)
    judged_at: Moment


class _DigestSet(msgspec.Struct, frozen=True):
    sha256: Digest


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is spoken of (in-toto ResourceDescriptor)."""

    name: _NAME
    digest: _DigestSet


class Attestation(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"kind": "_type", "predicate_type": "predicateType"},
):
    """The statement: these files, and what the gate said of them.

    A field that is not known is passed over, as in-toto asks of whoever reads a statement.
    """

    kind: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
    subject: Annotated[tuple[Subject, ...], Meta(min_length=1, max_length=16)]
    predicate_type: Literal["https://in-toto.io/attestation/test-result/v0.1"] = (
        "https://in-toto.io/attestation/test-result/v0.1"
    )
    predicate: Result

    @classmethod
    def of(cls, files: dict[str, str], result: Result) -> "Attestation":
        """A statement on `files`, SHA-256 by name."""
        return cls(
            subject=tuple(
                Subject(name=name, digest=_DigestSet(digest)) for name, digest in files.items()
            ),
            predicate=result,
        )


class _Custom(msgspec.Struct, frozen=True):
    gate: Digest


class _Signature(msgspec.Struct, frozen=True):
    sig: Annotated[str, Meta(max_length=8 << 10)]
    keyid: Annotated[str, Meta(max_length=128)] = ""


class _Envelope(msgspec.Struct, frozen=True, rename="camel"):
    payload: str
    payload_type: Annotated[str, Meta(max_length=128)]
    signatures: Annotated[tuple[_Signature, ...], Meta(min_length=1, max_length=16)]


@dataclass(frozen=True, slots=True)
class VerifiedAttestation:
    """A passing word on one manifest, by a key that counts. Only `verify_attestation` makes one."""

    attestation: Attestation
    key_id: str


def signed_attestation(custom: object) -> str:
    """The SHA-256 of the envelope that a TUF target's `custom` names (TUF 1.0.33, 4.5), or ""."""
    try:
        return msgspec.convert(custom, _Custom).gate
    except msgspec.ValidationError:
        return ""


def attestation_path(sha256: str) -> str:
    """Where an envelope lies below the repository's URL."""
    return f"attestations/{sha256}.json"


def seal_attestation(attestation: Attestation, key: AttestingKey) -> bytes:
    """The envelope, signed by `key`: the same bytes every time."""
    payload = msgspec.json.encode(attestation, order="sorted")
    signature = key.sign(_pre_authentication(_PAYLOAD_TYPE, payload))
    envelope = _Envelope(
        payload=base64.b64encode(payload).decode(),
        payload_type=_PAYLOAD_TYPE,
        signatures=(
            _Signature(sig=base64.b64encode(signature).decode(), keyid=key_id(key.public_key())),
        ),
    )
    return msgspec.json.encode(envelope, order="sorted") + b"\n"


def open_attestation(envelope: bytes) -> Attestation:
    """What an envelope holds, without a look at who signed it: for a reader that knows it by a
    hash that others have signed. Raises `Rejected("malformed" | "too-large")`.
    """
    opened = decode_json(envelope, _Envelope, max_bytes=ATTESTATION_BYTES)
    return decode_json(_decoded(opened.payload), Attestation, max_bytes=ATTESTATION_BYTES)


def verify_attestation(
    envelope: bytes, keys: Sequence[PublicKey], *, manifest_sha256: str
) -> VerifiedAttestation:
    """The passing word of one of `keys` on the release with this manifest.

    Numbered as they run: 1. the envelope is well formed; 2. one of `keys` signed it (DSSE, 3);
    3. it is a gate's statement; 4. on this manifest; 5. and it passed.
    Raises `Rejected` with `malformed`, `too-large` or `bad-attestation`.
    """
    # 1.
    opened = decode_json(envelope, _Envelope, max_bytes=ATTESTATION_BYTES)
    payload = _decoded(opened.payload)
    # 2. Before anything of the payload is looked at.
    signed = _pre_authentication(opened.payload_type, payload)
    signatures = [_decoded(one.sig) for one in opened.signatures]
    signer = next(
        (key for key in keys if any(has_signed(key, one, signed) for one in signatures)), None
    )
    if signer is None:
        raise Rejected("bad-attestation", "no key of the gate has signed what it says")
    if opened.payload_type != _PAYLOAD_TYPE:
        raise Rejected("bad-attestation", "what the gate has signed is no in-toto statement")
    # 3.
    attestation = decode_json(payload, Attestation, max_bytes=ATTESTATION_BYTES)
    # 4.
    if all(one.digest.sha256 != manifest_sha256 for one in attestation.subject):
        raise Rejected("bad-attestation", "the gate speaks of another release")
    # 5.
    if attestation.predicate.result != "PASSED":
        failed = ", ".join(attestation.predicate.failed_tests[:4]) or "no rule passed"
        raise Rejected("bad-attestation", f"the gate did not let it pass: {failed}")
    return VerifiedAttestation(attestation, key_id(signer))


def _decoded(text: str) -> bytes:
    """Base64, standard or URL-safe, as DSSE allows."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Rejected("malformed", "the attestation is not in base64") from error


def _pre_authentication(kind: str, payload: bytes) -> bytes:
    """What is signed (DSSE, PAE)."""
    return b"DSSEv1 %d %b %d %b" % (len(kind.encode()), kind.encode(), len(payload), payload)
