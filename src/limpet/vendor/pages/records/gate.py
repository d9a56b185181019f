"""What the gate before a release said of it: its signed word, as the repository keeps it.

Owns the reading for a page. The word counts for nothing here: who signs, publishes and installs
has verified it (`limpet.wire.attestation`); the page says whose it is, if it knows the key.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from limpet.crypto.attesting import PublicKey
from limpet.errors import Rejected
from limpet.wire.attestation import open_attestation, verify_attestation

__all__ = ["Gate", "read_gate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A verdict on one release."""

    verdict: str  # "passed" or "failed"
    rules: int  # that passed
    judged_at: datetime
    key_id: str  # of the gate's key; empty where no key is known here


def read_gate(
    envelope: bytes, *, sha256: str, manifest_sha256: str, keys: Sequence[PublicKey]
) -> Gate:
    """The word in `envelope`, whose hash the release's metadata names, on that manifest.

    Raises `Rejected("malformed" | "too-large" | "bad-attestation")`, where there are `keys` also
    for one that none of them has signed.
    """
    if hashlib.sha256(envelope).hexdigest() != sha256:
        raise Rejected("bad-attestation", "this is not the gate's word that was signed")
    told = open_attestation(envelope)
    if all(one.digest.sha256 != manifest_sha256 for one in told.subject):
        raise Rejected("bad-attestation", "the gate speaks of another release")
    key = ""
    if keys:
        key = verify_attestation(envelope, keys=keys, manifest_sha256=manifest_sha256).key_id
    return Gate(
        verdict="passed" if told.predicate.result == "PASSED" else "failed",
        rules=len(told.predicate.passed_tests),
        judged_at=told.predicate.judged_at,
        key_id=key,
    )
