"""The making of requests: from a draft of a release, or from a change of holders.

Owns what a request brings. Reads published files only, and holds no key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import Key
from tuf.api.metadata import Delegations, Metadata, Role, Root, Targets

from limpet.errors import Rejected, Unavailable
from limpet.release._build import MANIFEST_FILE, SUPPORT_FILE
from limpet.release._gated import ATTESTATION_FILE
from limpet.release._keys import fingerprint
from limpet.release._signing import REVOCATION_FILE, Draft
from limpet.storage import read_bounded
from limpet.wire.attestation import ATTESTATION_BYTES
from limpet.wire.metadata import ROLE_BYTES, ROOT_BYTES

from ._changes import LIFETIMES, RELEASES_LIFETIME
from ._request import MAX_ROOTS, Kind, SigningRequest, parse_role

__all__ = [
    "ALL",
    "Holders",
    "propose_holders",
    "request_model",
    "request_online",
    "request_release",
    "verify_subject",
]

ALL = "all"
"""In the place of a role: root, targets and the releases of every model."""

LEAST_PREFIX = 8
_REVOCATION_BYTES = 4 << 10


def request_release(draft: Draft, repository: Path, *, now: datetime) -> SigningRequest:
    """Ask the holders of a model's release keys to sign `draft`. Raises `Rejected`."""
    current, role = draft.current, draft.current.role.name
    if draft.target is None:
        kind = "revocation"
        subject = read_bounded(draft.out / REVOCATION_FILE, max_bytes=_REVOCATION_BYTES)
    else:
        kind = "release" if (draft.out / MANIFEST_FILE).exists() else "support"
        subject = draft.target
    return SigningRequest(
        kind=kind,  # type: ignore[arg-type]
        made_at=now,
        roots=_roots(repository),
        current={
            "targets": _published(repository, "targets", current.delegator.version),
            role: _published(repository, role, current.targets.version),
        },
        proposed={role: draft.metadata.to_bytes()},
        subject=subject,
        before=_before(draft, repository),
        gate=_gate(draft),
    )


def verify_subject(request: SigningRequest, out: Path) -> None:
    """Raise `Rejected("other-request")` unless the release's directory `out` holds just what the
    request asks to sign."""
    name = {"release": MANIFEST_FILE, "support": SUPPORT_FILE, "revocation": REVOCATION_FILE}
    file = out / name[request.kind]
    if read_bounded(file, max_bytes=ROLE_BYTES) != request.subject:
        raise Rejected(
            "other-request",
            f"{file} is not what was signed",
            hint="was it built again, or did it get a delta, after the request was made?",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """What shall change: keys by role, ids (or their beginning) by role, thresholds by role.

    A role is root, targets, `releases/<model>`, or `ALL`.
    """

    add: Sequence[tuple[str, Key]] = ()
    remove: Sequence[tuple[str, str]] = ()
    retire: Sequence[str] = ()  # schemes, in every role
    threshold: Sequence[tuple[str, int]] = ()
    renew: bool = False  # sign everything for as long as it may last

    @property
    def is_empty(self) -> bool:
        """Whether nothing shall change."""
        return not (self.add or self.remove or self.retire or self.threshold or self.renew)


@dataclass(slots=True)
class _Role:
    """One offline role while it is being changed."""

    name: str
    role: Role
    keys: dict[str, Key]
    touched: bool = field(default=False)


def propose_holders(
    holders: Holders,
    repository: Path,
    published: tuple[Root, Targets, dict[str, Targets]],
    *,
    now: datetime,
) -> SigningRequest:
    """Ask the holders of root and targets, and of the releases that it concerns, to change who may
    sign. `published` is the verified state of `repository`. Raises `Rejected`.
    """
    root, targets, roles = published
    if holders.is_empty:
        raise Rejected("nothing-to-do", "nothing would change", hint="say --add, --remove, …")
    versions = (root.version, targets.version)
    current = {"targets": _published(repository, "targets", targets.version)}
    current |= {name: _published(repository, name, role.version) for name, role in roles.items()}
    delegations = targets.delegations
    if delegations is None or delegations.roles is None:
        raise Rejected("bad-repository", "targets delegates nothing")
    offline = [_Role(name, root.roles[name], root.keys) for name in LIFETIMES]
    offline += [_Role(name, delegations.roles[name], delegations.keys) for name in roles]
    _change(offline, holders)
    _tidy(root, delegations)
    now = now.replace(microsecond=0)
    root.version, targets.version = versions[0] + 1, versions[1] + 1
    root.expires, targets.expires = (now + LIFETIMES[name] for name in LIFETIMES)
    proposed = {"root": Metadata(root).to_bytes(), "targets": Metadata(targets).to_bytes()}
    for one in offline:
        if one.name in roles and (one.touched or holders.renew):
            signed = roles[one.name]
            signed.version += 1
            signed.expires = now + RELEASES_LIFETIME
            proposed[one.name] = Metadata(signed).to_bytes()
    return SigningRequest(
        kind="holders",
        made_at=now,
        roots=_roots(repository),
        current=current,
        proposed=proposed,
    )


def request_online(
    root: bytes, targets: bytes, repository: Path, *, now: datetime
) -> SigningRequest:
    """Ask the holders of root and targets to name other online keys: those in `root` and `targets`,
    which follow what `repository` has and bear no signature yet. Raises `Rejected`."""
    return _below_root("online", {"root": root, "targets": targets}, repository, now)


def request_model(
    proposed: Mapping[str, bytes], repository: Path, *, now: datetime
) -> SigningRequest:
    """Ask the holders of targets, and those of a new model's releases, to let it join: `proposed`
    follows what `repository` has and bears no signature yet. Raises `Rejected`."""
    return _below_root("model", dict(proposed), repository, now)


def _below_root(
    kind: Kind, proposed: dict[str, bytes], repository: Path, now: datetime
) -> SigningRequest:
    published = parse_role("targets", proposed["targets"]).signed.version - 1
    return SigningRequest(
        kind=kind,
        made_at=now,
        roots=_roots(repository),
        current={"targets": _published(repository, "targets", published)},
        proposed=proposed,
    )


def _change(offline: list[_Role], holders: Holders) -> None:
    known = [ALL, *(one.name for one in offline)]

    def named(role: str) -> list[_Role]:
        if role not in known:
            raise Rejected("unknown-role", f"{role!r} is none of {', '.join(known)}")
        return [one for one in offline if role in (ALL, one.name)]

    for role, key in holders.add:
        for one in named(role):
            one.keys[key.keyid] = key
            if key.keyid in one.role.keyids:
                raise Rejected("nothing-to-do", f"{one.name} names {fingerprint(key.keyid[:16])}")
            one.role.keyids.append(key.keyid)
            one.touched = True
    for role, prefix in holders.remove:
        found = [(one, keyid) for one in named(role) for keyid in one.role.keyids]
        found = [(one, keyid) for one, keyid in found if keyid.startswith(prefix.replace(" ", ""))]
        if len(prefix) < LEAST_PREFIX or len({keyid for _, keyid in found}) != 1:
            raise Rejected(
                "unknown-key",
                f"{prefix!r} is not the beginning of exactly one key id of {role}",
                hint="limpet vendor root status DIR shows them",
            )
        for one, keyid in found:
            one.role.keyids.remove(keyid)
            one.touched = True
    for scheme in holders.retire:
        for one in offline:
            kept = [keyid for keyid in one.role.keyids if one.keys[keyid].scheme != scheme]
            one.touched |= len(kept) != len(one.role.keyids)
            one.role.keyids[:] = kept
    for role, number in holders.threshold:
        for one in named(role):
            one.touched |= one.role.threshold != number
            one.role.threshold = number


def _tidy(root: Root, delegations: Delegations) -> None:
    """Forget the keys that no role names any more."""
    for keys, roles in ((root.keys, root.roles), (delegations.keys, delegations.roles or {})):
        named = {keyid for role in roles.values() for keyid in role.keyids}
        for keyid in keys.keys() - named:
            del keys[keyid]


def _roots(repository: Path) -> tuple[bytes, ...]:
    found: list[bytes] = []
    while (file := repository / "metadata" / f"{len(found) + 1}.root.json").is_file():
        if len(found) == MAX_ROOTS:
            raise Rejected("too-large", f"the repository has more than {MAX_ROOTS} roots")
        found.append(read_bounded(file, max_bytes=ROOT_BYTES))
    if not found:
        raise Unavailable(f"{repository} has no root", hint="name the vendor's public/repository")
    return tuple(found)


def _published(repository: Path, role: str, version: int) -> bytes:
    data = read_bounded(repository / "metadata" / f"{version}.{role}.json", max_bytes=ROLE_BYTES)
    parse_role(role, data)
    return data


def _gate(draft: Draft) -> bytes:
    if not draft.gate:
        return b""
    return read_bounded(draft.out / ATTESTATION_FILE, max_bytes=ATTESTATION_BYTES)


def _before(draft: Draft, repository: Path) -> bytes:
    if draft.before is None:
        return b""
    path = f"firmware/{draft.model}/{draft.before.version}.json"
    digest = draft.current.targets.targets[path].hashes["sha256"]
    folder, _, name = path.rpartition("/")
    return read_bounded(repository / "targets" / folder / f"{digest}.{name}", max_bytes=ROLE_BYTES)
