"""Publishing: the order in which files appear, under the lock of the online keys.

Owns every change of the repository after its founding. The order is always
images and deltas, targets, delegated metadata, snapshot, timestamp: each file is durable
before one that names it, and the timestamp, which alone is ever replaced, comes
last. So a cut between any two writes leaves clients with the old state, whole.
"""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Root, Signed, TargetFile, Targets

from limpet.errors import Rejected, Unavailable, naming
from limpet.storage import read_bounded
from limpet.vendor.home import Home, hold_lock
from limpet.wire.attestation import attestation_path, signed_attestation
from limpet.wire.codec import decode_json, encode_json
from limpet.wire.metadata import verify_size
from limpet.wire.release import (
    MANIFEST_BYTES,
    ReleaseManifest,
    manifest_path,
    sbom_path,
    version_key,
)
from limpet.wire.rights import RIGHTS_BYTES, Rights, rights_path
from limpet.wire.rollout import PLAN_BYTES, Plan, PlanState, plan_path
from limpet.wire.support import SUPPORT_BYTES, SupportStatement, support_path

from ._lifetimes import RENEW_BELOW, ROLLOUT, SNAPSHOT, TIMESTAMP
from ._metadata import (
    load_role_signers,
    meta_file,
    releases_role,
    renewed,
    rollout_role,
    sign_metadata,
)
from ._models import OfferedModel, verify_model
from ._release import (
    SignedRelease,
    VerifiedMetadata,
    verify_bill,
    verify_release,
    verify_revocation,
    verify_support,
)
from ._roots import verify_resigned, verify_roots
from ._shelf import Shelf
from ._state import ADVICE, RepositoryState, load_state

__all__ = ["PublishedRelease", "Repository"]

CLOCK_SLACK = timedelta(days=1)  # between the clocks of two machines that write here


@dataclass(frozen=True, slots=True)
class PublishedRelease:
    """A release that clients can find."""

    manifest: ReleaseManifest
    manifest_sha256: str  # its name in plans
    attestation: str = ""  # the hash of the gate's word on it; empty: there is none


def _rollouts(state: RepositoryState) -> list[str]:
    """The online roles of all models, as targets names them."""
    return [name for name in state.delegated if name.startswith(rollout_role(""))]


def _no_hook(name: str) -> None:
    """Nobody watches."""


class Repository:
    """The repository of `home`; `clock` gives UTC. Safe to use from several processes."""

    def __init__(
        self,
        home: Home,
        clock: Callable[[], datetime],
        *,
        after_write: Callable[[str], None] = _no_hook,
    ) -> None:
        self._home = home
        self._clock = clock
        self._shelf = Shelf(home.repository, after_write=after_write)
        self._model = home.model

    # --- reading

    def state(self) -> RepositoryState:
        """What clients see now, verified. Raises `Rejected("bad-repository")`."""
        return load_state(self._shelf)

    def verify_keys(self) -> None:
        """Raise unless the online keys are there and are those that clients know."""
        self._writable_state()

    def releases(self) -> tuple[PublishedRelease, ...]:
        """All published releases, oldest version first."""
        prefix = manifest_path(self._model, "").removesuffix(".json")
        role = self._seen(releases_role(self._model))
        support = support_path(self._model)
        paths = [path for path in role.targets if path.startswith(prefix) and path != support]
        found = [self._read_release(role.targets[path]) for path in paths]
        return tuple(sorted(found, key=lambda release: version_key(release.manifest.version)))

    def find_release(self, version: str) -> PublishedRelease:
        """The release of that version. Raises `Rejected("unknown-release")`."""
        path = manifest_path(self._model, version)
        target = self._seen(releases_role(self._model)).targets.get(path)
        if target is None:
            raise Rejected(
                "unknown-release",
                f"{self._model} {version} is not published",
                hint="publish it first: limpet release publish",
            )
        return self._read_release(target)

    def plan(self) -> Plan:
        """The plan that devices see now."""
        target = self._seen(rollout_role(self._model)).targets[plan_path(self._model)]
        return decode_json(self._read_target(target, PLAN_BYTES), Plan, max_bytes=PLAN_BYTES)

    def support(self) -> SupportStatement | None:
        """The published support statement, if there is one."""
        role = self._seen(releases_role(self._model))
        target = role.targets.get(support_path(self._model))
        if target is None:
            return None
        data = self._read_target(target, SUPPORT_BYTES)
        return decode_json(data, SupportStatement, max_bytes=SUPPORT_BYTES)

    # --- publishing

    def add_release(self, release: SignedRelease) -> PublishedRelease:
        """Verify a signed release against what is published, then publish it.

        Raises `Rejected` (bad-signature, wrong-version, already-published, tampered-image, …);
        then clients see nothing of it.
        """
        with self._lock():
            state = self._writable_state()
            verified = verify_release(
                release,
                state,
                model=self._model,
                now=self._clock(),
                suites=self._home.suites,
                gate_keys=self._home.gate_keys,
            )
            verify_size(verified.metadata.role, verified.metadata.data)
            bill = verify_bill(release, verified.manifest)
            image = verified.manifest.image
            digest = image.path.removeprefix("images/").removesuffix(".img")
            self._shelf.place(image.path, release.image, sha256=digest, length=image.packed)
            for delta, file in zip(verified.manifest.deltas, release.deltas, strict=True):
                digest = delta.path.removeprefix("deltas/").removesuffix(".delta")
                self._shelf.place(delta.path, file, sha256=digest, length=delta.size)
            if verified.attestation:
                self._shelf.write(attestation_path(verified.attestation), release.attestation)
            if verified.manifest.sbom:
                self._shelf.write(sbom_path(verified.manifest.sbom), bill)
            if release.rights is not None and verified.manifest.rights:
                self._place_rights(release.rights, verified.manifest.rights)
            self._publish_offline(state, verified.metadata, release.manifest)
        return PublishedRelease(verified.manifest, verified.metadata.sha256, verified.attestation)

    def publish_support(self, statement: bytes, metadata: bytes) -> SupportStatement:
        """Verify a signed support statement, then publish it. Raises `Rejected`."""
        with self._lock():
            state = self._writable_state()
            content, verified = verify_support(
                statement,
                metadata,
                state,
                model=self._model,
                now=self._clock(),
                suites=self._home.suites,
            )
            self._publish_offline(state, verified, statement)
        return content

    def revoke(self, version: str, metadata: bytes) -> None:
        """Verify and publish metadata that signs a release no more. Its files stay.

        Raises `Rejected("still-offered")` while the plan offers it, and as `add_release`.
        """
        with self._lock():
            state = self._writable_state()
            plan = self.plan()
            offered = plan.release is not None and plan.release.version == version
            if offered and plan.state is not PlanState.WITHDRAWN:
                raise Rejected(
                    "still-offered",
                    f"the plan offers {version}",
                    hint=f"withdraw it first: limpet rollout withdraw {version}"
                    f" --vendor {self._home.root} --model {self._model}",
                )
            verified = verify_revocation(
                version,
                metadata,
                state,
                model=self._model,
                now=self._clock(),
                suites=self._home.suites,
            )
            self._publish_snapshot(state, {verified.role: (verified.version, verified.data)})

    def publish_roots(self, root: bytes, targets: bytes) -> None:
        """Verify and publish the next root and the next targets, signed offline.

        The next root is signed as the current one asks and as it asks itself (TUF 5.3.4, 5.3.5).
        Raises `Rejected`; then clients see nothing of it.
        """
        self._verify_clock()
        with self._lock():
            state = self.state()
            verified = verify_roots(
                root, targets, state, now=self._clock(), suites=self._home.suites
            )
            verify_size("root", root)
            verify_size("targets", targets)
            name = self._shelf.metadata_name("root", verified.root_version)
            self._shelf.write(name, root)
            # The new root may name new online keys, so the rest is made from the new state.
            self._publish_snapshot(self.state(), {"targets": (verified.targets_version, targets)})

    def publish_offline_keys(
        self, root: bytes, targets: bytes, releases: Mapping[str, bytes]
    ) -> None:
        """Verify and publish metadata that names other offline keys; the online ones stay.

        `releases` has that of each model, by model. Root comes last: what lies below it is signed
        by the old keys too, so that a cut, or a client in between, finds something valid. Raises
        `Rejected`.
        """
        self._verify_clock()
        with self._lock():
            state, suites = self._writable_state(), self._home.suites
            roots = verify_roots(root, targets, state, now=self._clock(), suites=suites)
            verify_size("root", root)
            published = {"targets": (roots.targets_version, targets)}
            for model, data in releases.items():
                role = releases_role(model)
                version = verify_resigned(data, targets, state, role=role, suites=suites)
                published[role] = (version, data)
            self._publish_snapshot(state, published)
            self._shelf.write(self._shelf.metadata_name("root", roots.root_version), root)

    def add_model(self, offered: OfferedModel) -> None:
        """Verify and publish the two roles of another model. Raises `Rejected`; then clients see
        nothing of it."""
        self._verify_clock()
        with self._lock():
            state = self._writable_state()
            verified = verify_model(offered, state, now=self._clock(), suites=self._home.suites)
            name = self._shelf.target_name(verified.plan.path, verified.plan.hashes["sha256"])
            self._shelf.write(name, offered.plan)
            self._publish_snapshot(state, verified.roles)

    def root_bytes(self) -> bytes:
        """The newest root, as it is published."""
        return self._shelf.read(self._shelf.metadata_name("root", self._shelf.latest_root()))

    def publish_plan(self, plan: Plan) -> None:
        """Sign `plan` with the online key and publish it; whether it is wise is the caller's."""
        if plan.model != self._model:
            raise Rejected("wrong-model", f"the plan is for {plan.model}, not for {self._model}")
        with self._lock():
            state = self._writable_state()
            path, data = plan_path(self._model), encode_json(plan)
            target = TargetFile.from_data(path, data, ["sha256"])
            self._shelf.write(self._shelf.target_name(path, target.hashes["sha256"]), data)
            state.role(rollout_role(self._model)).targets[path] = target
            self._publish_snapshot(state, self._next_rollout(state, rollout_role(self._model)))

    def refresh_timestamp(self) -> bool:
        """Renew what expires soon of the online metadata; whether there was anything to do."""
        if not self._due(load_state(self._shelf, only=()).timestamp, TIMESTAMP):
            return False
        with self._lock():
            state = self._writable_state()
            roles: dict[str, tuple[int, bytes]] = {}
            for name in self._rollouts_due(state):
                roles |= self._next_rollout(state, name)
            if roles or self._due(state.snapshot, SNAPSHOT):
                self._publish_snapshot(state, roles)
            else:
                self._publish_timestamp(state)
        return True

    # --- the order of writes

    def _publish_offline(
        self, state: RepositoryState, verified: VerifiedMetadata, target: bytes
    ) -> None:
        self._shelf.write(self._shelf.target_name(verified.path, verified.sha256), target)
        self._publish_snapshot(state, {verified.role: (verified.version, verified.data)})

    def _publish_snapshot(
        self, state: RepositoryState, roles: dict[str, tuple[int, bytes]]
    ) -> None:
        for role, (version, data) in roles.items():
            verify_size(role, data)
            state.snapshot.meta[f"{role}.json"] = meta_file(version, data)
        snapshot = renewed(state.snapshot, now=self._clock(), lifetime=SNAPSHOT)
        data = sign_metadata(snapshot, *self._signers(state.root, "snapshot"))
        verify_size("snapshot", data)
        for role, (version, content) in roles.items():
            self._shelf.write(self._shelf.metadata_name(role, version), content)
        self._shelf.write(self._shelf.metadata_name("snapshot", snapshot.version), data)
        state.timestamp.snapshot_meta = meta_file(snapshot.version, data)
        self._publish_timestamp(state)

    def _publish_timestamp(self, state: RepositoryState) -> None:
        timestamp = renewed(state.timestamp, now=self._clock(), lifetime=TIMESTAMP)
        data = sign_metadata(timestamp, *self._signers(state.root, "timestamp"))
        self._shelf.write(self._shelf.metadata_name("timestamp", None), data)

    def _next_rollout(self, state: RepositoryState, role: str) -> dict[str, tuple[int, bytes]]:
        signed = renewed(state.role(role), now=self._clock(), lifetime=ROLLOUT)
        return {role: (signed.version, sign_metadata(signed, *self._signers(state.targets, role)))}

    # --- small parts

    def _seen(self, role: str) -> Targets:
        """What clients see of one role now; no other model's is read."""
        return load_state(self._shelf, only=(role,)).role(role)

    def _writable_state(self) -> RepositoryState:
        """The state, once every key that its next version takes is known to fit."""
        self._verify_clock()
        state = self.state()
        for role in ("snapshot", "timestamp"):
            self._signers(state.root, role)
        for role in _rollouts(state):
            self._signers(state.targets, role)
        return state

    def _verify_clock(self) -> None:
        """What a clock that is behind dates would have expired before anybody reads it."""
        now, made = self._clock(), self._home.settings.created_at
        if now < made - CLOCK_SLACK:
            raise Unavailable(
                f"this computer's clock says {now:%Y-%m-%d}, but this vendor was made on "
                f"{made:%Y-%m-%d}",
                hint="set the clock, then try again",
            )

    def _signers(self, delegator: Root | Targets, role: str) -> list[CryptoSigner]:
        kind, _, model = role.partition("/")
        stem = f"{kind}-{model}" if model else f"tuf-{role}"
        return load_role_signers(self._home.online, stem, delegator, role)

    def _lock(self) -> AbstractContextManager[None]:
        return hold_lock(self._home.online / "signing.lock")

    def _due(self, signed: Signed, lifetime: timedelta) -> bool:
        return signed.expires - self._clock() < lifetime * RENEW_BELOW

    def _rollouts_due(self, state: RepositoryState) -> list[str]:
        return [name for name in _rollouts(state) if self._due(state.role(name), ROLLOUT)]

    def _place_rights(self, file: Path, sha256: str) -> None:
        data = read_bounded(file, max_bytes=RIGHTS_BYTES)
        decode_json(data, Rights, max_bytes=RIGHTS_BYTES)
        self._shelf.place(rights_path(sha256), file, sha256=sha256, length=len(data))

    def _read_target(self, target: TargetFile, max_bytes: int) -> bytes:
        digest = target.hashes["sha256"]
        name = self._shelf.target_name(target.path, digest)
        with naming(self._shelf.root / name, hint=ADVICE):
            data = self._shelf.read(name, max_bytes=max_bytes)
            if hashlib.sha256(data).hexdigest() != digest:
                raise Rejected("bad-repository", "this is not the file that was signed")
        return data

    def _read_release(self, target: TargetFile) -> PublishedRelease:
        data = self._read_target(target, MANIFEST_BYTES)
        manifest = decode_json(data, ReleaseManifest, max_bytes=MANIFEST_BYTES)
        word = signed_attestation(target.custom)
        return PublishedRelease(manifest, target.hashes["sha256"], word)
