"""TUF metadata as values: parse, verify, sign. No file is written here.

Owns the translation between python-tuf's metadata API and limpet's errors, and
the two rules that limpet adds for delegated roles: their names and their paths.
Never decides what is published.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from securesystemslib.exceptions import StorageError
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from limpet.crypto.keys import signing_key_from_pem
from limpet.crypto.suites import Suite
from limpet.errors import Rejected, naming
from limpet.firmware.signatures import families_of, verify_all_keys, verify_role_signatures
from limpet.storage import read_bounded

__all__ = [
    "METADATA_BYTES",
    "MORE_SIGNERS",
    "ROLES",
    "Metadata",
    "load_drawer_signers",
    "load_role_signers",
    "load_signer",
    "meta_file",
    "parse_metadata",
    "releases_role",
    "renewed",
    "rollout_role",
    "sign_metadata",
    "verify_delegated",
    "verify_families",
    "verify_schemes",
]

METADATA_BYTES = 4 << 20
"""Largest metadata file that is read (a release adds about 200 bytes to its role)."""

KEY_BYTES = 16 << 10
KEY_ADVICE = "restore the key from a backup; --passphrase-env NAME names an encrypted one's"

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)

ROLES: Mapping[str, type[Signed]] = {
    "root": Root,
    "timestamp": Timestamp,
    "snapshot": Snapshot,
    "targets": Targets,
}


def releases_role(model: str) -> str:
    """The delegated role that says what firmware of `model` exists; its keys are offline."""
    return f"releases/{model}"


def rollout_role(model: str) -> str:
    """The delegated role that says when firmware of `model` is offered; its key is online."""
    return f"rollout/{model}"


def parse_metadata(data: bytes, kind: type[S], *, what: str) -> "Metadata[S]":
    """The metadata of `kind` in `data`, not verified. Raises `Rejected("bad-metadata")`."""
    if len(data) > METADATA_BYTES:
        raise Rejected("bad-metadata", f"{what} is larger than {METADATA_BYTES} bytes")
    try:
        metadata: Metadata[S] = Metadata.from_bytes(data)
    except (DeserializationError, StorageError, RecursionError) as error:
        raise Rejected("bad-metadata", f"{what} is not TUF metadata") from error
    if not isinstance(metadata.signed, kind):
        raise Rejected("bad-metadata", f"{what} is metadata of the wrong kind")
    return metadata


MORE_SIGNERS = "nothing was published: more of its people sign, then merge and publish again"
"""What to do where an offline role's metadata came with too few signatures."""


def verify_delegated(
    delegator: Root | Targets, role: str, metadata: "Metadata[S]", *, what: str, hint: str = ""
) -> None:
    """Raise `Rejected("bad-signature")`, with `hint`, unless a threshold of `role`'s keys signed
    `metadata`."""
    try:
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise Rejected(
            "bad-signature",
            f"{what} is not signed as {role} must be: {error}",
            hint=hint,
        ) from error


def verify_families(
    delegator: Root | Targets,
    role: str,
    metadata: "Metadata[S]",
    *,
    what: str,
    suites: Sequence[Suite],
) -> None:
    """Raise `Rejected("bad-signature")` unless devices of each of `suites` find their families."""
    for suite in suites:
        families = families_of(role, suite)
        verify_role_signatures(delegator, role, metadata, what=what, families=families)


def verify_schemes(delegator: Root | Targets, *, what: str, suites: Sequence[Suite]) -> None:
    """Raise `Rejected("weak-key")` unless devices of each of `suites` accept every key that
    `delegator` names."""
    for suite in suites:
        verify_all_keys(delegator, what=what, suite=suite)


def load_signer(file: Path, *, passphrase: bytes | None = None) -> CryptoSigner:
    """The signer in a PEM file. Raises `Unavailable` or `Rejected` (bad-key, weak-key).

    Of any scheme that limpet has: which of them a role may have is judged before it is published.
    """
    with naming(file, hint=KEY_ADVICE):
        pem = read_bounded(file, max_bytes=KEY_BYTES)
        return CryptoSigner(signing_key_from_pem(pem, passphrase=passphrase, suite=None))


def load_drawer_signers(
    drawer: Path, stem: str, *, passphrase: bytes | None = None
) -> list[CryptoSigner]:
    """The signers of an offline role: `tuf-root.pem` and every `tuf-root-*.pem` beside it.

    Raises as `load_signer` does.
    """
    files = [drawer / f"{stem}.pem", *sorted(drawer.glob(f"{stem}-*.pem"))]
    return [load_signer(file, passphrase=passphrase) for file in files]


def load_role_signers(
    drawer: Path, stem: str, delegator: Root | Targets, role: str
) -> list[CryptoSigner]:
    """As `load_drawer_signers`, if `delegator` lets every key sign for `role`.

    Asked before anything is written: what a wrong key signs is refused by every client, and by
    the next command too. Raises `Unavailable` or `Rejected` (bad-key, weak-key).
    """
    signers, known = load_drawer_signers(drawer, stem), delegator.get_delegated_role(role).keyids
    if any(signer.public_key.keyid not in known for signer in signers):
        file = drawer / f"{stem}.pem"
        raise Rejected("bad-key", f"{file} is not the key of {role}", hint=KEY_ADVICE)
    return signers


def sign_metadata(signed: S, *signers: CryptoSigner) -> bytes:
    """`signed` as a metadata file with one signature of each signer."""
    metadata = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


def renewed(signed: S, *, now: datetime, lifetime: timedelta) -> S:
    """`signed` as its own next version, with a new expiry. Changes `signed` in place."""
    signed.version += 1
    signed.expires = (now + lifetime).replace(microsecond=0)
    return signed


def meta_file(version: int, data: bytes) -> MetaFile:
    """What a snapshot or timestamp says of a file: version, length and SHA-256."""
    return MetaFile.from_data(version, data, ["sha256"])
