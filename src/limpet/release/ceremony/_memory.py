"""What a signer has signed and seen: so that nobody gets two different signatures for one version.

Owns `signed.json` beside the signer's root of trust. Without it, whoever shows a signer an old
state gets the same version signed with other content, and may show devices either.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from tuf.api.metadata import Metadata, Root, Targets

from limpet.errors import Rejected, naming
from limpet.storage import read_bounded, write_atomic
from limpet.wire.codec import Message, decode_json, encode_json
from limpet.wire.release import Digest

from ._chain import Published

__all__ = ["MEMORY_FILE", "Memory", "load_memory", "save_memory"]

MEMORY_FILE = "signed.json"
_MEMORY_BYTES = 1 << 20

Version = Annotated[int, Meta(ge=1)]


class _Deed(Message, frozen=True, kw_only=True):
    """A version of a role that this signer signed last."""

    version: Version
    sha256: Digest  # of what was signed


class Memory(Message, frozen=True, kw_only=True):
    """What one signer knows."""

    spec: Literal["limpet-signed-1"] = "limpet-signed-1"
    seen: dict[str, Version] = msgspec.field(default_factory=dict)  # published, by role
    signed: dict[str, _Deed] = msgspec.field(default_factory=dict)  # by role

    def verify(
        self,
        published: Published,
        proposed: Mapping[str, "Metadata[Root] | Metadata[Targets]"],
        *,
        again: bool,
    ) -> None:
        """Raise `Rejected("rollback")` for a state older than one seen, `Rejected("signed-before")`
        for a version that was signed with other content, unless that is meant: `again`."""
        for role, version in _versions(published).items():
            if version < self.seen.get(role, 1):
                raise Rejected(
                    "rollback",
                    f"the request continues {role} {version}; you have seen {self.seen[role]}",
                    hint="ask for a request that was made from the current repository",
                )
        for role, metadata in proposed.items():
            deed, version = self.signed.get(role), metadata.signed.version
            if deed is None or version > deed.version or again:
                continue
            if version < deed.version or _digest(metadata) != deed.sha256:
                raise Rejected(
                    "signed-before",
                    f"you signed version {deed.version} of {role} already, with other content",
                    hint="find out what became of it; if it was given up, sign with --again",
                )

    def after(
        self,
        published: Published,
        signed: Mapping[str, "Metadata[Root] | Metadata[Targets]"],
    ) -> "Memory":
        """What is known once `signed` is."""
        deeds = {
            role: _Deed(version=one.signed.version, sha256=_digest(one))
            for role, one in signed.items()
        }
        seen = {**self.seen, **_versions(published)}
        return Memory(seen=seen, signed={**self.signed, **deeds})


def load_memory(root: Path) -> Memory:
    """What lies beside the root of trust `root`. Raises `Rejected("malformed")`."""
    file = root.parent / MEMORY_FILE
    if not file.exists():
        return Memory()
    with naming(file, hint="restore it from a backup: it keeps you from signing twice"):
        data = read_bounded(file, max_bytes=_MEMORY_BYTES)
        return decode_json(data, Memory, max_bytes=_MEMORY_BYTES)


def save_memory(memory: Memory, root: Path) -> None:
    """Keep it beside `root`, durably."""
    write_atomic(root.parent / MEMORY_FILE, encode_json(memory))


def _versions(published: Published) -> dict[str, int]:
    own = {"root": published.root.version, "targets": published.targets.version}
    return own | {name: role.version for name, role in published.roles.items()}


def _digest(metadata: "Metadata[Root] | Metadata[Targets]") -> str:
    return hashlib.sha256(metadata.signed_bytes).hexdigest()
