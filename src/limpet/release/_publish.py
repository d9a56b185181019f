"""Handing a signed release or support statement to the vendor's repository.

Owns the file names of the hand-over. Trusts nothing here: the repository verifies
the metadata against its own delegation before a client can see anything.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from limpet.errors import Unavailable
from limpet.release._anchors import verify_anchors
from limpet.release._build import MANIFEST_FILE, METADATA_FILE, SUPPORT_FILE, load_built
from limpet.release._gated import ATTESTATION_FILE
from limpet.release._signing import REVOCATION_FILE, Revocation
from limpet.storage import read_bounded
from limpet.wire.attestation import ATTESTATION_BYTES
from limpet.wire.codec import decode_json
from limpet.wire.release import MANIFEST_BYTES
from limpet.wire.support import SUPPORT_BYTES, SupportStatement

__all__ = ["publish"]

_METADATA_BYTES = 8 << 20
_REVOCATION_BYTES = 4 << 10


def publish(out: Path, vendor: Path, *, clock: Callable[[], datetime]) -> str:
    """Publish what lies signed in `out` in the vendor's directory; a line on what was published.

    Raises `Unavailable` for what is missing, `Rejected` with the repository's reason.
    """
    from limpet.vendor.home import open_home
    from limpet.vendor.repository import Repository, SignedRelease

    if not (out / METADATA_FILE).is_file():
        raise Unavailable(
            f"{out} is not signed", hint="sign it: limpet release sign DIR --offline DIR"
        )
    home = open_home(vendor)
    metadata = read_bounded(out / METADATA_FILE, max_bytes=_METADATA_BYTES)
    if (out / SUPPORT_FILE).is_file() and not (out / MANIFEST_FILE).exists():
        statement = read_bounded(out / SUPPORT_FILE, max_bytes=SUPPORT_BYTES)
        model = decode_json(statement, SupportStatement, max_bytes=SUPPORT_BYTES).model
        content = Repository(home.of(model), clock).publish_support(statement, metadata)
        return f"support of {content.model} until {content.until:%Y-%m-%d}"
    if (out / REVOCATION_FILE).is_file() and not (out / MANIFEST_FILE).exists():
        data = read_bounded(out / REVOCATION_FILE, max_bytes=_REVOCATION_BYTES)
        revoked = decode_json(data, Revocation, max_bytes=_REVOCATION_BYTES)
        Repository(home.of(revoked.model), clock).revoke(revoked.version, metadata)
        return f"{revoked.model} {revoked.version} is revoked"
    built = load_built(out)
    manifest = read_bounded(out / MANIFEST_FILE, max_bytes=MANIFEST_BYTES)
    repository = Repository(home.of(built.manifest.model), clock)
    verify_anchors(
        built.manifest.image,
        built.image,
        trust=home.trust,
        metadata=home.repository / "metadata",
    )
    attestation = b""
    if (out / ATTESTATION_FILE).is_file():
        attestation = read_bounded(out / ATTESTATION_FILE, max_bytes=ATTESTATION_BYTES)
    release = repository.add_release(
        SignedRelease(
            manifest,
            built.image,
            metadata,
            built.deltas,
            attestation,
            built.sbom,
            built.rights,
        )
    )
    return f"{release.manifest.model} {release.manifest.version}"
