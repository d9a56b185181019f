"""The vendor's update repository (TUF 1.0.3x) as any device sees it.

Owns fetching the metadata over HTTPS (or from the published directory), checking
every signature against the delegation above it, and the releases and plans in it,
with the plans of the past as far as the repository still holds them. Verifies by
python-tuf; trusts the root that the auditor has, else the first one it is shown,
and says so.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from limpet.audit.instruments.http import converse_with_vendor
from limpet.audit.target import Target
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.storage import read_bounded
from limpet.wire.attestation import attestation_path, signed_attestation
from limpet.wire.codec import decode_json
from limpet.wire.release import MANIFEST_BYTES, ReleaseManifest, manifest_path, version_key
from limpet.wire.rollout import PLAN_BYTES, Plan
from limpet.wire.support import SUPPORT_BYTES, SupportStatement

__all__ = ["Gated", "Repository", "Role", "read_repository"]

MAX_METADATA = 1 << 20
MAX_ROOTS = 64
MAX_PLANS = 40
MAX_RELEASES = 20

Fetch = Callable[[str], bytes]
T = TypeVar("T", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One role: what stands behind its signature."""

    name: str
    version: int
    expires: datetime
    threshold: int
    keys: frozenset[str]  # key ids
    schemes: frozenset[str]
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class Gated:
    """A release's manifest and the gate's word on it, both by the hash that its role signed."""

    envelope: bytes
    manifest_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """Everything that was verified."""

    root_is_given: bool
    spec_version: str
    roles: Mapping[str, Role]
    releases: tuple[ReleaseManifest, ...]  # by version
    words: Mapping[str, Gated] = field(default_factory=dict)  # the gate's, by version
    support: tuple[SupportStatement, ...]
    plans: tuple[Plan, ...]  # oldest first


def read_repository(target: Target) -> Repository:
    """The repository, verified from the root down. Raises `Rejected` where it does not verify."""
    if target.vendor is not None and target.service_root_pem is not None:
        with converse_with_vendor(target) as vendor:

            def fetch(path: str) -> bytes:
                answer = vendor.ask("GET", f"/repository/{path}")
                if answer.status != 200:
                    raise Unavailable(f"/repository/{path} answered {answer.status}")
                return answer.body

            return _read(target, fetch)
    directory = target.need(target.vendor_dir, "--vendor-url") / "public" / "repository"
    return _read(target, lambda path: read_bounded(directory / path, max_bytes=MAX_METADATA))


def _read(target: Target, fetch: Fetch) -> Repository:
    given = _given_root(target)
    root = _read_root(given if given is not None else fetch("metadata/1.root.json"), fetch)
    timestamp = _parse(Timestamp, fetch("metadata/timestamp.json"), "timestamp")
    _verify(root.signed, "timestamp", timestamp)
    number = timestamp.signed.snapshot_meta.version
    snapshot = _parse(Snapshot, fetch(f"metadata/{number}.snapshot.json"), "snapshot")
    _verify(root.signed, "snapshot", snapshot)
    number = snapshot.signed.meta["targets.json"].version
    targets = _parse(Targets, fetch(f"metadata/{number}.targets.json"), "targets")
    _verify(root.signed, "targets", targets)
    roles = {
        "root": _role(root.signed, "root", root),
        "timestamp": _role(root.signed, "timestamp", timestamp),
        "snapshot": _role(root.signed, "snapshot", snapshot),
        "targets": _role(root.signed, "targets", targets),
    }
    releases: list[ReleaseManifest] = []
    support: list[SupportStatement] = []
    plans: list[Plan] = []
    words: dict[str, Gated] = {}
    for name, delegated in _delegated(targets).items():
        entry = snapshot.signed.meta.get(f"{name}.json")
        if entry is None:
            continue
        current = _fetch_delegated(fetch, targets.signed, name, entry.version)
        roles[name] = _role(targets.signed, name, current, terminating=delegated)
        if name.startswith("releases/"):
            found = _read_releases(fetch, current)
            releases += found[0]
            support += found[1]
            words |= _read_words(fetch, current, found[0])
        elif name.startswith("rollout/"):
            plans += _read_plans(fetch, targets.signed, name, entry.version)
    return Repository(
        root_is_given=given is not None,
        spec_version=root.signed.spec_version,
        roles=roles,
        releases=tuple(sorted(releases, key=lambda r: version_key(r.version))),
        words=words,
        support=tuple(support),
        plans=tuple(plans),
    )


def _read_root(trusted: bytes, fetch: Fetch) -> Metadata[Root]:
    """The newest root, each signed by the one before and by itself (TUF 5.3)."""
    root = _parse(Root, trusted, "root")
    _verify(root.signed, "root", root)
    for version in range(root.signed.version + 1, root.signed.version + MAX_ROOTS):
        try:
            data = fetch(f"metadata/{version}.root.json")
        except Unavailable:
            break
        new = _parse(Root, data, "root")
        _verify(root.signed, "root", new)
        _verify(new.signed, "root", new)
        root = new
    return root


def _given_root(target: Target) -> bytes | None:
    """The trusted root from the vendor's or the device's own files."""
    places = []
    if target.vendor_dir is not None:
        places.append(target.vendor_dir / "trust" / "root.json")
    if target.device_dir is not None:
        places += [target.device_dir / "slots" / s / "trust" / "root.json" for s in ("a", "b")]
    for path in places:
        if path.is_file():
            return read_bounded(path, max_bytes=MAX_METADATA)
    return None


def _delegated(targets: Metadata[Targets]) -> dict[str, bool]:
    """The delegated roles' names, and whether each is terminating."""
    delegations = targets.signed.delegations
    if delegations is None or delegations.roles is None:
        return {}
    return {name: role.terminating for name, role in delegations.roles.items()}


def _fetch_delegated(fetch: Fetch, parent: Targets, name: str, version: int) -> Metadata[Targets]:
    data = None
    for spelled in (name.replace("/", "%2F"), name):  # over HTTP; as a file's decoded path
        try:
            data = fetch(f"metadata/{version}.{spelled}.json")
            break
        except LimpetError:
            continue
    if data is None:
        raise Unavailable(f"the repository has no version {version} of {name}")
    metadata = _parse(Targets, data, name)
    _verify(parent, name, metadata)
    return metadata


def _read_releases(
    fetch: Fetch, metadata: Metadata[Targets]
) -> tuple[list[ReleaseManifest], list[SupportStatement]]:
    releases, support = [], []
    for path in sorted(metadata.signed.targets)[: MAX_RELEASES * 2]:
        if path.endswith("/support.json"):
            data = _fetch_target(fetch, metadata, path)
            support.append(decode_json(data, SupportStatement, max_bytes=SUPPORT_BYTES))
        elif re.search(r"/[0-9.]+\.json$", path):
            data = _fetch_target(fetch, metadata, path)
            releases.append(decode_json(data, ReleaseManifest, max_bytes=MANIFEST_BYTES))
    return releases, support


def _read_words(
    fetch: Fetch, metadata: Metadata[Targets], releases: list[ReleaseManifest]
) -> dict[str, Gated]:
    """What the metadata names as the gate's word, by version, each with its signed hash."""
    found = {}
    for manifest in releases:
        described = metadata.signed.targets.get(manifest_path(manifest.model, manifest.version))
        digest = signed_attestation(described.custom) if described is not None else ""
        if described is None or not digest:
            continue
        data = fetch(attestation_path(digest))
        if hashlib.sha256(data).hexdigest() != digest:
            raise Rejected(
                "tampered", f"the gate's word on {manifest.version} is not the signed one"
            )
        found[manifest.version] = Gated(data, described.hashes["sha256"])
    return found


def _read_plans(fetch: Fetch, parent: Targets, name: str, latest: int) -> list[Plan]:
    """The plan of each version still held, oldest first; a missing old one is no fault."""
    plans: list[Plan] = []
    for version in range(max(1, latest - MAX_PLANS + 1), latest + 1):
        try:
            metadata = _fetch_delegated(fetch, parent, name, version)
            for path in metadata.signed.targets:
                data = _fetch_target(fetch, metadata, path)
                plans.append(decode_json(data, Plan, max_bytes=PLAN_BYTES))
        except Unavailable:
            if version == latest:
                raise
    return plans


def _fetch_target(fetch: Fetch, metadata: Metadata[Targets], path: str) -> bytes:
    described = metadata.signed.targets[path]
    directory, _, name = path.rpartition("/")
    digest = next(iter(described.hashes.values()))
    data = fetch(f"targets/{directory}/{digest}.{name}")
    try:
        described.verify_length_and_hashes(data)
    except RepositoryError as error:
        raise Rejected("tampered", f"{path} is not what its role signed") from error
    return data


def _parse(kind: type[T], data: bytes, name: str) -> Metadata[T]:
    try:
        metadata = Metadata[T].from_bytes(data)
    except RepositoryError as error:
        raise Rejected("malformed", f"{name} is not TUF metadata") from error
    if not isinstance(metadata.signed, kind):
        raise Rejected("malformed", f"{name} is of another type")
    return metadata


def _verify(parent: Root | Targets, name: str, metadata: Metadata[T]) -> None:
    try:
        parent.verify_delegate(name, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise Rejected("bad-signature", f"{name} is not signed as its delegation says") from error


def _role(
    parent: Root | Targets, name: str, metadata: Metadata[T], *, terminating: bool = False
) -> Role:
    role = parent.get_delegated_role(name)
    keys = [parent.get_key(one) for one in role.keyids]
    return Role(
        name=name,
        version=metadata.signed.version,
        expires=metadata.signed.expires,
        threshold=role.threshold,
        keys=frozenset(role.keyids),
        schemes=frozenset(key.scheme for key in keys),
        terminating=terminating,
    )
