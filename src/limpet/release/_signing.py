"""Signing: the next metadata of `releases/<model>`, by one signer after another.

Owns what an offline signer's hand does beside the repository: draft what shall follow, sign it,
forget the key. Changes one target and no other. Below the role's threshold the result is not valid
yet: the next signer adds a signature to the same file. Signers who are elsewhere get a request
made from the same draft: `limpet.release.ceremony`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata, TargetFile, Targets
from tuf.api.serialization import DeserializationError

from limpet.crypto.suites import Suite, load_suite, suite_file_in
from limpet.errors import Rejected
from limpet.firmware.signatures import families_of, missing_signatures
from limpet.release._build import MANIFEST_FILE, METADATA_FILE, SUPPORT_FILE, Built, load_built
from limpet.release._current import CurrentReleases, load_current, read_target
from limpet.release._gated import load_attestation
from limpet.release._interface import newest_before, verify_interface
from limpet.release._keys import Secret, open_signer
from limpet.storage import make_directory, read_bounded, write_atomic
from limpet.wire.codec import Message, decode_json, encode_json
from limpet.wire.release import MANIFEST_BYTES, ModelName, ReleaseManifest, Version, manifest_path
from limpet.wire.support import SUPPORT_BYTES, SupportStatement, support_path
from limpet.wire.times import CLOCKS_DIFFER, verify_made_by

__all__ = [
    "LIFETIME",
    "REVOCATION_FILE",
    "VERIFICATIONS",
    "Candidate",
    "Draft",
    "Revocation",
    "Signed",
    "SigningOrder",
    "default_keys",
    "draft_release",
    "draft_revocation",
    "draft_support",
    "gated_target",
    "sign_release",
    "sign_revocation",
    "sign_support",
]

LIFETIME = timedelta(days=365)
"""Of the metadata: at least one release or renewal a year keeps devices able to update."""

_METADATA_BYTES = 8 << 20


REVOCATION_FILE = "revocation.json"


class Revocation(Message, frozen=True, kw_only=True):
    """A release that the offline keys sign no more. The word for it; the metadata is the deed."""

    spec: Literal["limpet-revocation-1"] = "limpet-revocation-1"
    model: ModelName
    version: Version


def _no_pin(token: str) -> None:
    """Nobody is there to ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningOrder:
    """Who signs what continues what. `passphrase` is for encrypted keys, None for others."""

    repository: Path  # the current public/repository
    root: Path  # the root of trust that signers keep themselves
    keys: tuple[Path, ...] = ()  # PKCS#8 PEM, of the suite's schemes, or pkcs11: URIs
    passphrase: bytes | None = None
    pin: Secret = _no_pin

    @property
    def suite(self) -> Suite:
        """The algorithms that signers keep to: of the file beside their root of trust."""
        return load_suite(suite_file_in(self.root.parent))


@dataclass(frozen=True, slots=True)
class Signed:
    """The file that was written, and how far it is from valid."""

    path: Path
    version: int
    signatures: int
    threshold: int
    missing: tuple[str, ...]  # families of schemes that have too few signatures

    @property
    def is_valid(self) -> bool:
        """Whether devices accept it."""
        return self.signatures >= self.threshold and not self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The next metadata of a model's releases, with the signatures that are there already."""

    out: Path
    model: str
    current: CurrentReleases
    path: str  # of the one target that changes
    target: bytes | None  # what lies there; None: it is taken away
    before: ReleaseManifest | None  # the release before this one
    gate: str  # the SHA-256 of the gate's word, or empty
    metadata: "Metadata[Targets]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A release that shall be signed, and what is known of it."""

    built: Built
    current: CurrentReleases
    before: ReleaseManifest | None  # the release before it

    @property
    def path(self) -> str:
        """Of its manifest, as a target."""
        return manifest_path(self.built.manifest.model, self.built.manifest.version)


def verify_unpublished(candidate: Candidate) -> None:
    """Raise `Rejected("already-published")` for a version that exists."""
    manifest = candidate.built.manifest
    if candidate.path in candidate.current.targets.targets:
        raise Rejected(
            "already-published",
            f"{manifest.model} {manifest.version} is published",
            hint="build it under a new version",
        )


def verify_compatible(candidate: Candidate) -> None:
    """Raise `Rejected("interface-change")` where it breaks the interface and does not say so."""
    verify_interface(candidate.before, candidate.built.manifest)


VERIFICATIONS: Sequence[Callable[[Candidate], None]] = (verify_unpublished, verify_compatible)
"""What a release passes before anybody is asked to sign it, in this order. Each raises
`Rejected`."""


def draft_release(out: Path, order: SigningOrder, *, now: datetime) -> Draft:
    """The next metadata with the release in `out`, which has passed `VERIFICATIONS`.

    Raises as they do, as `load_built` and `load_current`, `Rejected("ungated")` for one that no
    gate has passed, and `Rejected("bad-date")` for one that was built after `now`.
    """
    built = load_built(out)
    made = built.manifest.built_at
    verify_made_by(made, now + CLOCKS_DIFFER, what="the build time of the release")
    model, version = built.manifest.model, built.manifest.version
    data = read_bounded(out / MANIFEST_FILE, max_bytes=MANIFEST_BYTES)
    current = _current(order, model)
    published = {name: one.hashes["sha256"] for name, one in current.targets.targets.items()}
    before = newest_before(order.repository, published, model=model, version=version)
    candidate = Candidate(built=built, current=current, before=before)
    for verify in VERIFICATIONS:
        verify(candidate)
    gate = load_attestation(out, order.root.parent, manifest_sha256=built.manifest_sha256)
    change = _Change(candidate.path, data, gate)
    return _draft(out, model, current, change, now, before=before)


def draft_support(
    statement: SupportStatement,
    out: Path,
    order: SigningOrder,
    *,
    now: datetime,
    shorten: bool = False,
) -> Draft:
    """Write `out/support.json`; the next metadata that holds it.

    Raises `Rejected("bad-date")` for an end that is past, and for one before the published one
    unless it is to `shorten` that; and as `load_current`.
    """
    if statement.until <= now:  # a slip: it would end support on every device at its next check
        raise Rejected(
            "bad-date",
            f"{statement.until:%Y-%m-%d} is past",
            hint="name the last day of updates; today's date ends them today",
        )
    current = _current(order, statement.model)
    promised = _promised(order.repository, current, statement.model)
    if promised is not None and statement.until < promised.until and not shorten:
        raise Rejected(
            "bad-date",
            f"until {promised.until:%Y-%m-%d} was promised, {statement.until:%Y-%m-%d} is before",
            hint="name the promised day or a later one; --shorten breaks the promise knowingly",
        )
    make_directory(out)
    data = encode_json(statement)
    write_atomic(out / SUPPORT_FILE, data, mode=0o644)
    return _draft(out, statement.model, current, _Change(support_path(statement.model), data), now)


def draft_revocation(
    revocation: Revocation, out: Path, order: SigningOrder, *, now: datetime
) -> Draft:
    """Write `out/revocation.json`; the next metadata, which signs that release no more.

    Raises `Rejected("unknown-release")` if it is not signed now, and as `load_current`.
    """
    model, version = revocation.model, revocation.version
    current = _current(order, model)
    path = manifest_path(model, version)
    if path not in current.targets.targets:
        raise Rejected("unknown-release", f"{model} {version} is not published")
    make_directory(out)
    write_atomic(out / REVOCATION_FILE, encode_json(revocation), mode=0o644)
    return _draft(out, model, current, _Change(path, None), now)


def sign_release(out: Path, order: SigningOrder, *, now: datetime) -> Signed:
    """Add the release in `out` to the next metadata, and sign it into `out/releases.json`.

    Raises `Rejected("weak-key")` for a key of a scheme that no device accepts,
    `Rejected("wrong-key")` for one that the role does not name, and as `draft_release`.
    """
    return _sign(draft_release(out, order, now=now), order)


def sign_support(
    statement: SupportStatement,
    out: Path,
    order: SigningOrder,
    *,
    now: datetime,
    shorten: bool = False,
) -> Signed:
    """Write `out/support.json` and the next metadata that holds it.

    Raises as `draft_support` and `sign_release`.
    """
    return _sign(draft_support(statement, out, order, now=now, shorten=shorten), order)


def sign_revocation(
    revocation: Revocation, out: Path, order: SigningOrder, *, now: datetime
) -> Signed:
    """Write `out/revocation.json` and the next metadata, which signs that release no more.

    Raises as `draft_revocation` and `sign_release`.
    """
    return _sign(draft_revocation(revocation, out, order, now=now), order)


def _current(order: SigningOrder, model: str) -> CurrentReleases:
    return load_current(order.repository, root=order.root, model=model, suite=order.suite)


def _promised(repository: Path, current: CurrentReleases, model: str) -> SupportStatement | None:
    """The statement that is published, or None."""
    path = support_path(model)
    if path not in current.targets.targets:
        return None
    sha256 = current.targets.targets[path].hashes["sha256"]
    data = read_target(repository, path, sha256, max_bytes=SUPPORT_BYTES)
    return decode_json(data, SupportStatement, max_bytes=SUPPORT_BYTES)


def _draft(
    out: Path,
    model: str,
    current: CurrentReleases,
    change: "_Change",
    now: datetime,
    *,
    before: ReleaseManifest | None = None,
) -> Draft:
    """The next metadata with the change."""
    metadata = _begun(out / METADATA_FILE, current, change, now)
    if metadata is None:
        metadata = Metadata(
            Targets(
                version=current.targets.version + 1,
                spec_version=current.targets.spec_version,
                expires=(now + LIFETIME).replace(microsecond=0),
                targets=change.of(current),
            )
        )
    return Draft(
        out=out,
        model=model,
        current=current,
        path=change.path,
        target=change.target,
        before=before,
        gate=change.gate,
        metadata=metadata,
    )


@dataclass(frozen=True, slots=True)
class _Change:
    """What lies at one path from now on; None: nothing. `gate` names the gate's word on it."""

    path: str
    target: bytes | None
    gate: str = ""

    def of(self, current: CurrentReleases) -> dict[str, TargetFile]:
        """The role's targets with this change."""
        targets = current.targets.targets
        changed = {name: file for name, file in targets.items() if name != self.path}
        if self.target is not None:
            changed[self.path] = gated_target(self.path, self.target, self.gate)
        return changed


def gated_target(path: str, data: bytes, gate: str) -> TargetFile:
    """What metadata says of `data`, with the SHA-256 of the gate's word on it, if there is one."""
    target = TargetFile.from_data(path, data, ["sha256"])
    if gate:
        target.unrecognized_fields["custom"] = {"gate": gate}
    return target


def _sign(draft: Draft, order: SigningOrder) -> Signed:
    signers = [_load_signer(key, draft.current, order) for key in order.keys]
    if not signers:
        raise Rejected("wrong-key", "no key to sign with", hint="name one: --key FILE")
    metadata, role = draft.metadata, draft.current.role
    for signer in signers:
        metadata.sign(signer, append=True)
    write_atomic(draft.out / METADATA_FILE, metadata.to_bytes(), mode=0o644)
    families = families_of(role.name, order.suite)
    missing = missing_signatures(draft.current.delegator, role.name, metadata, families=families)
    return Signed(
        draft.out / METADATA_FILE,
        metadata.signed.version,
        len(metadata.signatures),
        role.threshold,
        tuple(missing),
    )


def _begun(
    file: Path, current: CurrentReleases, change: _Change, now: datetime
) -> Metadata[Targets] | None:
    """What another signer began for the same change of the same state, or None."""
    if not file.exists():
        return None
    data = read_bounded(file, max_bytes=_METADATA_BYTES)
    try:
        metadata = Metadata[Targets].from_bytes(data)
    except DeserializationError as error:
        raise Rejected("malformed", f"{file} is not TUF metadata", hint="remove it") from error
    if metadata.signed.type != Targets.type:
        return None
    expected = change.of(current)
    fits = (
        metadata.signed.version == current.targets.version + 1
        and metadata.signed.targets == expected
        and metadata.signed.delegations is None
        and now < metadata.signed.expires <= now + LIFETIME
    )
    return metadata if fits else None


def _load_signer(key: Path, current: CurrentReleases, order: SigningOrder) -> Signer:
    signer = open_signer(
        str(key), passphrase=lambda name: order.passphrase, pin=order.pin, suite=order.suite
    )
    if signer.public_key.keyid not in current.role.keyids:
        raise Rejected("wrong-key", f"{key} may not sign for {current.role.name}")
    return signer


def default_keys(offline: Path, model: str) -> Sequence[Path]:
    """The keys in the drawer for `model`: `releases-<model>.pem`, `releases-<model>-*.pem`."""
    found = [*offline.glob(f"releases-{model}.pem"), *offline.glob(f"releases-{model}-*.pem")]
    return sorted(file for file in found if not file.name.endswith(".pub.pem"))
