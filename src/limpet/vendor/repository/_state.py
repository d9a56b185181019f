"""The repository as its clients see it now: what the timestamp points at, verified.

Owns reading. Files of a publication that was cut off are never looked at,
because nothing that the timestamp reaches names them. A file that does not fit
its signature or the hash in the snapshot is an error, never signed over.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import MetaFile, Root, Snapshot, Targets, Timestamp

from limpet.errors import LimpetError, Rejected

from ._metadata import Metadata, parse_metadata, verify_delegated
from ._shelf import Shelf

__all__ = ["ADVICE", "RepositoryState", "load_state"]

ADVICE = "restore public/repository from a backup, or from what the static server holds"


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """One consistent set of metadata."""

    root: Root
    timestamp: Timestamp
    snapshot: Snapshot
    targets: Targets
    delegated: dict[str, "Metadata[Targets]"]  # by role name

    def role(self, name: str) -> Targets:
        """The metadata of a delegated role. Raises `Rejected("unknown-model")`."""
        try:
            return self.delegated[name].signed
        except KeyError:
            raise Rejected("unknown-model", f"the repository has no role {name}") from None

    def earliest_expiry(self) -> datetime:
        """When the first of the metadata that a client needs expires, UTC."""
        parts = (self.root, self.timestamp, self.snapshot, self.targets)
        roles = [metadata.signed.expires for metadata in self.delegated.values()]
        return min([part.expires for part in parts] + roles)


def load_state(shelf: Shelf, *, only: Collection[str] | None = None) -> RepositoryState:
    """The current state. Raises `Rejected("bad-repository")` or `Unavailable`.

    In the client's order (TUF 5.3 to 5.6): root, timestamp, snapshot, targets, delegated roles: all
    of them, or `only` those that the caller looks at, because a vendor may have hundreds. Expiry is
    not judged: an expired file is what a new version is made from.
    """
    try:
        return _load(shelf, only)
    except Rejected as error:
        raise Rejected("bad-repository", f"{shelf.root}: {error.message}", hint=ADVICE) from error
    except LimpetError as error:
        raise type(error)(error.message, hint=error.hint or ADVICE) from error


def _load(shelf: Shelf, only: Collection[str] | None) -> RepositoryState:
    name = shelf.metadata_name("root", shelf.latest_root())
    root = parse_metadata(shelf.read(name), Root, what=name)
    verify_delegated(root.signed, "root", root, what=name)
    name = shelf.metadata_name("timestamp", None)
    timestamp = parse_metadata(shelf.read(name), Timestamp, what=name)
    verify_delegated(root.signed, "timestamp", timestamp, what=name)
    meta = timestamp.signed.snapshot_meta
    name = shelf.metadata_name("snapshot", meta.version)
    snapshot = parse_metadata(_fitting(shelf, name, meta), Snapshot, what=name)
    verify_delegated(root.signed, "snapshot", snapshot, what=name)
    targets = _role(shelf, snapshot.signed, root.signed, "targets")
    roles = targets.signed.delegations.roles if targets.signed.delegations else None
    asked = [role for role in roles or {} if only is None or role in only]
    delegated = {role: _role(shelf, snapshot.signed, targets.signed, role) for role in asked}
    return RepositoryState(
        root=root.signed,
        timestamp=timestamp.signed,
        snapshot=snapshot.signed,
        targets=targets.signed,
        delegated=delegated,
    )


def _role(
    shelf: Shelf, snapshot: Snapshot, delegator: Root | Targets, role: str
) -> "Metadata[Targets]":
    meta = snapshot.meta.get(f"{role}.json")
    if meta is None:
        raise Rejected("bad-repository", f"the snapshot does not name {role}")
    name = shelf.metadata_name(role, meta.version)
    metadata = parse_metadata(_fitting(shelf, name, meta), Targets, what=name)
    verify_delegated(delegator, role, metadata, what=name)
    return metadata


def _fitting(shelf: Shelf, name: str, meta: MetaFile) -> bytes:
    data = shelf.read(name)
    try:
        meta.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as error:
        raise Rejected("bad-repository", f"{name} is not the file that was published") from error
    return data
