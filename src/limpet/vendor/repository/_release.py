"""Whether a signed release may be published: the rules, without a file or a clock.

Owns the check of metadata that came from outside (the offline signers) against
what is published now. Only `verify_release` makes a `VerifiedRelease`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from msgspec import UNSET
from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import DelegatedRole, TargetFile, Targets

from limpet.crypto.attesting import PublicKey
from limpet.crypto.suites import Suite
from limpet.errors import Rejected
from limpet.storage import read_bounded
from limpet.wire.attestation import signed_attestation, verify_attestation
from limpet.wire.codec import decode_json
from limpet.wire.release import MANIFEST_BYTES, SBOM_BYTES, ReleaseManifest, manifest_path
from limpet.wire.support import SUPPORT_BYTES, SupportStatement, support_path
from limpet.wire.times import CLOCKS_DIFFER, verify_made_by

from ._metadata import (
    MORE_SIGNERS,
    parse_metadata,
    releases_role,
    verify_delegated,
    verify_families,
    verify_schemes,
)
from ._state import RepositoryState

__all__ = [
    "SignedRelease",
    "VerifiedMetadata",
    "VerifiedRelease",
    "verify_bill",
    "verify_release",
    "verify_revocation",
    "verify_support",
]


@dataclass(frozen=True, slots=True)
class SignedRelease:
    """What the offline side hands over; nothing of it is trusted yet."""

    manifest: bytes  # limpet.wire.release.ReleaseManifest as JSON
    image: Path  # the file that the manifest describes
    metadata: bytes  # the next `releases/<model>`, with the manifest in it
    deltas: tuple[Path, ...] = ()  # the files that the manifest describes, in its order
    attestation: bytes = b""  # the gate's word, which the metadata names by its hash
    sbom: Path | None = None  # the bill of materials, where the manifest names one
    rights: Path | None = None  # the record of its processes, where the manifest names one


@dataclass(frozen=True, slots=True)
class VerifiedMetadata:
    """The next metadata of `releases/<model>`: signed, in sequence, and changing one path only."""

    role: str
    version: int
    data: bytes
    path: str  # the target that it adds or replaces
    sha256: str  # of that target, or empty: the path is taken away


@dataclass(frozen=True, slots=True)
class VerifiedRelease:
    """A release that may be published."""

    manifest: ReleaseManifest
    metadata: VerifiedMetadata
    attestation: str  # the hash of the gate's word, or empty


def verify_release(
    release: SignedRelease,
    state: RepositoryState,
    *,
    model: str,
    now: datetime,
    suites: Sequence[Suite],
    gate_keys: Sequence[PublicKey],
) -> VerifiedRelease:
    """Verify a release against what is published.

    Numbered as they run: 1. the manifest is well-formed, of this `model` and not built after `now`,
    with a file for each delta, for its bill of materials and for its record of processes; 2. an
    existing version is never changed; 3. its metadata passes `_verify_next`; 4. the gate, if there
    are `gate_keys`, let it pass, and the metadata says so. The caller still owes: these files have
    the lengths and hashes that the manifest names. Raises `Rejected`.
    """
    # 1.
    manifest = decode_json(release.manifest, ReleaseManifest, max_bytes=MANIFEST_BYTES)
    if manifest.model != model:
        raise Rejected(
            "wrong-model", f"the release is for {manifest.model}, this vendor's is {model}"
        )
    verify_made_by(manifest.built_at, now + CLOCKS_DIFFER, what="the build time of the release")
    path = manifest_path(model, manifest.version)
    if len(release.deltas) != len(manifest.deltas):
        raise Rejected(
            "bad-metadata",
            f"{len(release.deltas)} deltas were handed over, the manifest names"
            f" {len(manifest.deltas)}",
        )
    _verify_records(release, manifest)
    # 2.
    published = state.role(releases_role(model)).targets.get(path)
    if published is not None:
        same = published.hashes.get("sha256") == hashlib.sha256(release.manifest).hexdigest()
        raise Rejected(
            "already-published",
            f"{model} {manifest.version} is published; a version's content never changes",
            hint="it is this very release: nothing is left to do"
            if same
            else "build it under a new version",
        )
    # 3.
    change = (path, release.manifest)
    metadata = _verify_next(release.metadata, state, model, change, now=now, suites=suites)
    # 4.
    gate = _verify_gate(release, metadata, gate_keys)
    return VerifiedRelease(manifest=manifest, metadata=metadata, attestation=gate)


def _verify_gate(
    release: SignedRelease, metadata: VerifiedMetadata, keys: Sequence[PublicKey]
) -> str:
    listed = parse_metadata(release.metadata, Targets, what="the release's metadata")
    named = signed_attestation(listed.signed.targets[metadata.path].custom)
    if not keys and not named:
        return ""
    if not named:
        raise Rejected(
            "ungated",
            "the signers named no word of the gate: devices would refuse the release",
            hint="judge it with limpet release check, then sign it again",
        )
    if hashlib.sha256(release.attestation).hexdigest() != named:
        raise Rejected("bad-attestation", "the gate's word is not the one that the signers named")
    if keys:
        verify_attestation(release.attestation, keys, manifest_sha256=metadata.sha256)
    return named


def verify_bill(release: SignedRelease, manifest: ReleaseManifest) -> bytes:
    """The bill of materials that `manifest` names; nothing where it names none.

    Raises `Rejected("tampered-sbom")`, `Unavailable`.
    """
    if release.sbom is None or not manifest.sbom:
        return b""
    data = read_bounded(release.sbom, max_bytes=SBOM_BYTES)
    if hashlib.sha256(data).hexdigest() != manifest.sbom:
        message = f"{release.sbom} is not the bill of materials of its manifest"
        raise Rejected("tampered-sbom", message)
    return data


def _verify_records(release: SignedRelease, manifest: ReleaseManifest) -> None:
    """That what lies beside the image is handed over where the manifest names it, and only then."""
    if (release.sbom is None) is not (manifest.sbom is UNSET):
        raise Rejected("bad-metadata", "there is no bill of materials, or none was to be there")
    if (release.rights is None) is not (manifest.rights is UNSET):
        raise Rejected("bad-metadata", "there is no record of processes, or none was to be there")


def verify_support(
    statement: bytes,
    metadata: bytes,
    state: RepositoryState,
    *,
    model: str,
    now: datetime,
    suites: Sequence[Suite],
) -> tuple[SupportStatement, VerifiedMetadata]:
    """Verify a support statement and the metadata that signs it. Raises `Rejected`."""
    content = decode_json(statement, SupportStatement, max_bytes=SUPPORT_BYTES)
    if content.model != model:
        raise Rejected("wrong-model", f"the statement is for {content.model}, not for {model}")
    verify_made_by(content.issued_at, now + CLOCKS_DIFFER, what="the statement of support")
    change = (support_path(model), statement)
    return content, _verify_next(metadata, state, model, change, now=now, suites=suites)


def verify_revocation(
    version: str,
    metadata: bytes,
    state: RepositoryState,
    *,
    model: str,
    now: datetime,
    suites: Sequence[Suite],
) -> VerifiedMetadata:
    """Verify the metadata that signs a published release no more. Raises `Rejected`."""
    path = manifest_path(model, version)
    if path not in state.role(releases_role(model)).targets:
        raise Rejected("unknown-release", f"{model} {version} is not published")
    return _verify_next(metadata, state, model, (path, None), now=now, suites=suites)


def _verify_next(
    data: bytes,
    state: RepositoryState,
    model: str,
    change: tuple[str, bytes | None],
    *,
    now: datetime,
    suites: Sequence[Suite],
) -> VerifiedMetadata:
    """The next `releases/<model>`. Numbered as they run:

    1. a threshold of the role's keys signed it (TUF 5.6.3), each family of them, and devices
    accept their schemes;
    2. its version is the next one;
    3. it has not expired; 4. it delegates nothing and stays within its paths (TUF 4.5);
    5. it holds the `change`, a path and what lies there, or nothing;
    6. every other target is as it was.
    """
    path, target = change
    role = releases_role(model)
    current = state.role(role)
    # 1.
    metadata = parse_metadata(data, Targets, what="the release's metadata")
    verify_delegated(state.targets, role, metadata, what="the release", hint=MORE_SIGNERS)
    verify_schemes(state.root, what="root", suites=suites)
    verify_schemes(state.targets, what="targets", suites=suites)
    verify_families(state.targets, role, metadata, what="the release", suites=suites)
    offered = metadata.signed
    # 2.
    if offered.version != current.version + 1:
        raise Rejected(
            "wrong-version",
            f"the metadata is version {offered.version}, the next one is {current.version + 1}",
            hint="sign it again: another release was published meanwhile",
        )
    # 3.
    if offered.expires <= now:
        raise Rejected("expired-metadata", f"the metadata expired on {offered.expires:%Y-%m-%d}")
    # 4.
    _verify_paths(offered, state.targets.get_delegated_role(role))
    # 5.
    _verify_target(offered.targets.get(path), path, target)
    # 6.
    if _others(offered, path) != _others(current, path):
        raise Rejected("bad-metadata", f"the metadata changes more than {path}")
    digest = hashlib.sha256(target).hexdigest() if target is not None else ""
    return VerifiedMetadata(role=role, version=offered.version, data=data, path=path, sha256=digest)


def _verify_paths(offered: Targets, role: object) -> None:
    if offered.delegations is not None:
        raise Rejected("bad-metadata", "a release's metadata must not delegate")
    assert isinstance(role, DelegatedRole)  # noqa: S101 - found_repository makes no other
    for path in offered.targets:
        if not role.is_delegated_path(path):
            raise Rejected("bad-metadata", f"{path} is not a path of {role.name}")


def _verify_target(listed: TargetFile | None, path: str, target: bytes | None) -> None:
    if target is None:
        if listed is not None:
            raise Rejected("bad-metadata", f"the metadata still holds {path}")
        return
    if listed is None:
        raise Rejected("bad-metadata", f"the metadata does not hold {path}")
    if "sha256" not in listed.hashes:
        raise Rejected("bad-metadata", f"{path} is listed without SHA-256")
    try:
        listed.verify_length_and_hashes(target)
    except LengthOrHashMismatchError as error:
        raise Rejected("bad-metadata", f"{path} is not the file that was signed") from error


def _others(targets: Targets, path: str) -> dict[str, object]:
    return {name: file.to_dict() for name, file in targets.targets.items() if name != path}
