"""The gate's word on what is offered: without it a device of a gated vendor takes nothing.

Owns fetching the one file and keeping it. A third party to the two signatures that the device
asks for anyway: whoever holds the release keys alone ships nothing that the gate did not pass.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from limpet.crypto.attesting import PublicKey
from limpet.device.updater.source import NotFound, Source
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.storage import make_directory, read_bounded, write_atomic
from limpet.wire.attestation import (
    ATTESTATION_BYTES,
    attestation_path,
    signed_attestation,
    verify_attestation,
)

__all__ = ["Gate"]


@dataclass(frozen=True, slots=True)
class Gate:
    """Whose word counts (nobody's: no word is asked for), and where the last one is kept."""

    keys: Sequence[PublicKey]
    source: Source
    kept: Path

    def verify_passed(self, custom: object, *, manifest_sha256: str) -> None:
        """That the word which the metadata names (a target's `custom`) lets this manifest pass.

        Raises `Rejected` with `ungated`, `bad-attestation`, `malformed` or `too-large`, and
        `Unavailable`.
        """
        if not self.keys:
            return
        digest = signed_attestation(custom)
        if not digest:
            raise Rejected("ungated", "the release keys name no word of the gate on this release")
        verify_attestation(self._read(digest), self.keys, manifest_sha256=manifest_sha256)

    def _read(self, digest: str) -> bytes:
        """The envelope of this hash: the one that is kept, or fetched."""
        with suppress(LimpetError):  # there is none, or it is damaged: fetched anew
            data = read_bounded(self.kept, max_bytes=ATTESTATION_BYTES)
            if hashlib.sha256(data).hexdigest() == digest:
                return data
        path = attestation_path(digest)
        try:
            data = self.source.get(path, max_bytes=ATTESTATION_BYTES)
        except NotFound as error:
            raise Unavailable(error.message, reason="missing-file") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise Rejected("bad-attestation", f"{path} is not what the release keys named")
        make_directory(self.kept.parent)
        write_atomic(self.kept, data)
        return data
