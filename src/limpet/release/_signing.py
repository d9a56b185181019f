"""Signing: the next metadata of `releases/<model>`, by one signer after another.

Owns what an offline signer's hand does. Reads a private key from a file, signs,
forgets it. Adds one target and changes no other. Below the role's threshold the
result is not valid yet: the next signer adds a signature to the same file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, TargetFile, Targets
from tuf.api.serialization import DeserializationError

from limpet.crypto.keys import signing_key_from_pem
from limpet.crypto.suites import Suite, load_suite, suite_file_in
from limpet.errors import Rejected
from limpet.firmware.signatures import families_of, missing_signatures
from limpet.release._build import MANIFEST_FILE, METADATA_FILE, SUPPORT_FILE, load_built
from limpet.release._current import CurrentReleases, load_current
from limpet.release._gated import load_attestation
from limpet.release._interface import newest_before, verify_interface
from limpet.storage import make_directory, read_bounded, write_atomic
from limpet.wire.codec import Message, encode_json
from limpet.wire.release import MANIFEST_BYTES, ModelName, Version, manifest_path
from limpet.wire.support import SupportStatement, support_path

__all__ = [
    "REVOCATION_FILE",
    "Revocation",
    "Signed",
    "SigningOrder",
    "default_keys",
    "sign_release",
    "sign_revocation",
    "sign_support",
]

LIFETIME = timedelta(days=365)
"""Of the metadata: at least one release or renewal a year keeps devices able to update."""

_KEY_BYTES = 16 << 10
_METADATA_BYTES = 8 << 20


REVOCATION_FILE = "revocation.json"


class Revocation(Message, frozen=True, kw_only=True):
    """A release that the offline keys sign no more. The word for it; the metadata is the deed."""

    spec: Literal["limpet-revocation-1"] = "limpet-revocation-1"
    model: ModelName
    version: Version


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningOrder:
    """Who signs what continues what. `passphrase` is for encrypted keys, None for others."""

    repository: Path  # the current public/repository
    root: Path  # the root of trust that signers keep themselves
    keys: tuple[Path, ...]  # PKCS#8 PEM, of the suite's schemes
    passphrase: bytes | None = None

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


def sign_release(out: Path, order: SigningOrder, *, now: datetime) -> Signed:
    """Add the release in `out` to the next metadata, and sign it into `out/releases.json`.

    Raises `Rejected("weak-key")` for a key of a scheme that no device accepts,
    `Rejected("wrong-key")` for one that the role does not name,
    `Rejected("already-published")` for a version that exists, `Rejected("interface-change")`
    for one that breaks the interface of the version before and does not say so,
    `Rejected("ungated")` for one that no gate has passed, and as `load_current` does.
    """
    built = load_built(out)
    manifest = read_bounded(out / MANIFEST_FILE, max_bytes=MANIFEST_BYTES)
    path = manifest_path(built.manifest.model, built.manifest.version)
    current = load_current(
        order.repository, root=order.root, model=built.manifest.model, suite=order.suite
    )
    if path in current.targets.targets:
        raise Rejected(
            "already-published",
            f"{built.manifest.model} {built.manifest.version} is published",
            hint="build it under a new version",
        )
    published = {name: one.hashes["sha256"] for name, one in current.targets.targets.items()}
    older = newest_before(
        order.repository,
        published,
        model=built.manifest.model,
        version=built.manifest.version,
    )
    verify_interface(older, built.manifest)
    gate = load_attestation(out, order.root.parent, manifest_sha256=built.manifest_sha256)
    return _sign(out, current, _Change(path, manifest, gate), order, now)


def sign_support(
    statement: SupportStatement, out: Path, order: SigningOrder, *, now: datetime
) -> Signed:
    """Write `out/support.json` and the next metadata that holds it. Raises as `sign_release`."""
    current = load_current(
        order.repository, root=order.root, model=statement.model, suite=order.suite
    )
    make_directory(out)
    data = encode_json(statement)
    write_atomic(out / SUPPORT_FILE, data, mode=0o644)
    return _sign(out, current, _Change(support_path(statement.model), data), order, now)


def sign_revocation(
    revocation: Revocation, out: Path, order: SigningOrder, *, now: datetime
) -> Signed:
    """Write `out/revocation.json` and the next metadata, which signs that release no more.

    Raises `Rejected("unknown-release")` if it is not signed now, and as `sign_release`.
    """
    model, version = revocation.model, revocation.version
    current = load_current(order.repository, root=order.root, model=model, suite=order.suite)
    path = manifest_path(model, version)
    if path not in current.targets.targets:
        raise Rejected("unknown-release", f"{model} {version} is not published")
    make_directory(out)
    write_atomic(out / REVOCATION_FILE, encode_json(revocation), mode=0o644)
    return _sign(out, current, _Change(path, None), order, now)


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
            changed[self.path] = TargetFile.from_data(self.path, self.target, ["sha256"])
            if self.gate:
                changed[self.path].unrecognized_fields["custom"] = {"gate": self.gate}
        return changed


def _sign(
    out: Path,
    current: CurrentReleases,
    change: _Change,
    order: SigningOrder,
    now: datetime,
) -> Signed:
    """The next metadata with the change."""
    signers = [_load_signer(key, current, order) for key in order.keys]
    if not signers:
        raise Rejected("wrong-key", "no key to sign with", hint="name one: --key FILE")
    metadata = _begun(out / METADATA_FILE, current, change, now)
    if metadata is None:
        current.targets.targets = change.of(current)
        current.targets.version += 1
        current.targets.expires = (now + LIFETIME).replace(microsecond=0)
        metadata = Metadata(current.targets)
    for signer in signers:
        metadata.sign(signer, append=True)
    write_atomic(out / METADATA_FILE, metadata.to_bytes(), mode=0o644)
    return Signed(
        out / METADATA_FILE,
        metadata.signed.version,
        len(metadata.signatures),
        current.role.threshold,
        tuple(
            missing_signatures(
                current.delegator,
                current.role.name,
                metadata,
                families=families_of(current.role.name, order.suite),
            )
        ),
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


def _load_signer(file: Path, current: CurrentReleases, order: SigningOrder) -> CryptoSigner:
    pem = read_bounded(file, max_bytes=_KEY_BYTES)
    passphrase = _needed(pem, order.passphrase)
    try:
        key = signing_key_from_pem(pem, passphrase=passphrase, suite=order.suite)
        signer = CryptoSigner(key)
    except Rejected as error:
        raise Rejected(error.reason, f"{file}: {error.message}", hint=error.hint) from error
    if signer.public_key.keyid not in current.role.keyids:
        raise Rejected("wrong-key", f"{file} may not sign for {current.role.name}")
    return signer


def _needed(pem: bytes, passphrase: bytes | None) -> bytes | None:
    """The passphrase, for a key that has one."""
    return passphrase if b"ENCRYPTED" in pem else None


def default_keys(offline: Path, model: str) -> Sequence[Path]:
    """The keys in the drawer for `model`: `releases-<model>.pem`, `releases-<model>-*.pem`."""
    return sorted(
        [*offline.glob(f"releases-{model}.pem"), *offline.glob(f"releases-{model}-*.pem")]
    )
