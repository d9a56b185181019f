"""The gate's word on a release, as a signer wants it: there, passing, and by a key that counts.

Owns where it lies beside the release, and how the metadata names it: by its hash, among what the
offline keys sign of the manifest.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from limpet.crypto.attesting import PublicKey, public_keys_from_pem
from limpet.errors import Rejected, naming
from limpet.storage import read_bounded
from limpet.wire.attestation import ATTESTATION_BYTES, GATE_KEYS_FILE, verify_attestation

__all__ = ["ATTESTATION_FILE", "load_attestation", "load_gate_keys"]

ATTESTATION_FILE = "gate.intoto.json"
"""In a release's directory."""

_KEYS_BYTES = 16 << 10


def load_gate_keys(trust: Path) -> Sequence[PublicKey]:
    """The keys whose word on a release counts, as `trust` names them: none, if devices ask for no
    gate. Raises `Rejected("bad-key")`."""
    file = trust / GATE_KEYS_FILE
    if not file.exists():
        return ()
    with naming(file):
        return public_keys_from_pem(read_bounded(file, max_bytes=_KEYS_BYTES))


def load_attestation(release: Path, trust: Path, *, manifest_sha256: str) -> str:
    """The SHA-256 of the gate's passing word on the release in `release`.

    Empty if `trust` holds no key of a gate: then devices ask for none. Raises
    `Rejected("ungated")` if there is none, and as `verify_attestation`.
    """
    keys = load_gate_keys(trust)
    if not keys:
        return ""
    file, hint = release / ATTESTATION_FILE, "judge it: limpet release check PRODUCT --release OUT"
    if not file.exists():
        raise Rejected(
            "ungated", f"no gate has judged {release}: devices would refuse it", hint=hint
        )
    data = read_bounded(file, max_bytes=ATTESTATION_BYTES)
    with naming(file, hint=hint):
        verify_attestation(data, keys, manifest_sha256=manifest_sha256)
    return hashlib.sha256(data).hexdigest()
