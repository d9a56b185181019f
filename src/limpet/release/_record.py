"""The record of processes beside a built release.

Owns its file in a release's directory. What is in it is the firmware's own word, see
`limpet.wire.rights`.
"""

import hashlib
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.storage import read_bounded
from limpet.wire.release import ReleaseManifest
from limpet.wire.rights import RIGHTS_BYTES

__all__ = ["digest_record", "record_file", "verify_record"]

RIGHTS_FILE = "rights.json"


def record_file(out: Path) -> Path:
    """Where it lies in a release's directory."""
    return out / RIGHTS_FILE


def digest_record(out: Path) -> str:
    """The SHA-256 of the record in `out`. Raises `Unavailable`, `Rejected("too-large")`."""
    file = record_file(out)
    if not file.is_file():
        raise Unavailable(f"there is no {file}", hint="the manifest names it: build it again")
    return hashlib.sha256(read_bounded(file, max_bytes=RIGHTS_BYTES)).hexdigest()


def verify_record(out: Path, manifest: ReleaseManifest) -> None:
    """That the record in `out` is the one of its manifest. Raises `Rejected("tampered-record")`,
    and as `digest_record`."""
    if manifest.rights and digest_record(out) != manifest.rights:
        message = f"{record_file(out)} is not the record of its manifest"
        raise Rejected("tampered-record", message, hint="build it again")
