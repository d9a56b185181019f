"""A vendor's repository in memory, behind the updater's `Source`: an attack is a few lines.

Signs with real keys through python-tuf's metadata API. After each change call
`publish`; whatever is put into `files` afterwards is what the device gets.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import unquote

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from limpet.crypto.attesting import AttestingKey
from limpet.device.updater.source import NotFound
from limpet.errors import Rejected, Unavailable
from limpet.firmware.image import build_image
from limpet.firmware.tree import digest_tree
from limpet.wire.attestation import Attestation, Result, attestation_path, seal_attestation
from limpet.wire.codec import encode_json
from limpet.wire.release import Bounds, Image, ReleaseManifest, manifest_path
from limpet.wire.rollout import Plan, PlannedRelease, PlanState, plan_path
from limpet.wire.support import AfterSupport, SupportStatement, support_path

MODEL = "thermostat"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RELEASES, ROLLOUT = f"releases/{MODEL}", f"rollout/{MODEL}"
CHUNK = 64 << 10
OFFLINE = ("root", "targets", RELEASES)


class RepositorySimulator:
    """Files by path, and the keys that sign them."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now
        names = ("root", "targets", "snapshot", "timestamp", RELEASES, ROLLOUT)
        self.keys = {name: CryptoSigner.generate_ed25519() for name in names}
        # The roles whose keys are offline have one of ML-DSA-65 too, as the suite asks.
        self.seconds = {name: CryptoSigner.generate_mldsa() for name in OFFLINE}
        self.signing: dict[str, list[CryptoSigner]] = {}
        self.publishing: frozenset[str] | None = None  # roles that `publish` signs; None: all
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.hooks: list[Callable[[str], None]] = []
        self.chunk_hooks: list[Callable[[str, int], None]] = []
        self.root = Root(expires=now + timedelta(days=700), consistent_snapshot=True)
        for name in names[:4]:
            for signer in self.signers(name):
                self.root.add_key(signer.public_key, name)
            self.root.roles[name].threshold = len(self.signers(name))
        self.targets = Targets(expires=now + timedelta(days=300))
        self.delegate()
        self.roles = {
            RELEASES: Targets(expires=now + timedelta(days=300)),
            ROLLOUT: Targets(expires=now + timedelta(days=7)),
        }
        self.snapshot = Snapshot(expires=now + timedelta(days=7))
        self.timestamp = Timestamp(expires=now + timedelta(days=1))
        self.plan: Plan | None = Plan(model=MODEL, state=PlanState.IDLE, issued_at=now)
        self.publish_root()
        self.trusted_root = self.files["metadata/1.root.json"]
        self.publish()

    # --- the source

    def get(self, path: str, *, max_bytes: int) -> bytes:
        self.asked.append(path)
        for hook in list(self.hooks):
            hook(path)
        data = self.files.get(unquote(path))
        if data is None:
            raise NotFound(f"no {path}", 404)
        if len(data) > max_bytes:
            raise Rejected("too-large", f"{path} is larger than {max_bytes} bytes")
        return data

    @contextmanager
    def stream(
        self, path: str, offset: int, end: int, *, wait: Callable[[], float]
    ) -> Iterator[Iterator[bytes]]:
        """Chunks of 64 KiB; the hooks are called at the beginning, and `chunk_hooks` for each."""
        data = self.get(path, max_bytes=1 << 30)[offset:end]
        yield self._chunks(path, data, offset)

    def _chunks(self, path: str, data: bytes, offset: int) -> Iterator[bytes]:
        for begin in range(0, len(data), CHUNK):
            for hook in list(self.chunk_hooks):
                hook(path, offset + begin)
            yield data[begin : begin + CHUNK]

    # --- publishing

    def delegate(self) -> None:
        keys: dict[str, Any] = {}
        roles = {}
        for name, pattern in ((RELEASES, f"firmware/{MODEL}/*"), (ROLLOUT, f"rollout/{MODEL}/*")):
            own = {signer.public_key.keyid: signer.public_key for signer in self.signers(name)}
            keys |= own
            roles[name] = DelegatedRole(name, list(own), len(own), True, paths=[pattern])
        self.targets.delegations = Delegations(keys, roles)

    def publish_root(self) -> None:
        data = self.sign(self.root, "root")
        self.files[f"metadata/{self.root.version}.root.json"] = data

    def publish(self) -> None:
        """The next version of everything below root, consistent and signed."""
        if self.plan is not None:
            self.add_target(ROLLOUT, plan_path(MODEL), encode_json(self.plan))
        for name, role in (("targets", self.targets), *self.roles.items()):
            if self.publishing is None or name in self.publishing:
                self._put(name, role)
        self._put("snapshot", self.snapshot)
        data = self.files[f"metadata/{self.snapshot.version}.snapshot.json"]
        self.timestamp.snapshot_meta = MetaFile.from_data(self.snapshot.version, data, ["sha256"])
        self.timestamp.version += 1
        self.files["metadata/timestamp.json"] = self.sign(self.timestamp, "timestamp")

    def add_target(self, role: str, path: str, data: bytes) -> str:
        info = TargetFile.from_data(path, data, ["sha256"])
        self.roles[role].targets[path] = info
        digest = info.hashes["sha256"]
        folder, _, name = path.rpartition("/")
        self.files[f"targets/{folder}/{digest}.{name}"] = data
        return digest

    def add_release(self, work: Path, version: str = "1.1.0", **changes: Any) -> PlannedRelease:
        """Build, sign and name a release; `changes` replace fields of the manifest."""
        manifest = make_manifest(self, work, version, **changes)
        data = encode_json(manifest)
        digest = self.add_target(RELEASES, manifest_path(MODEL, version), data)
        return PlannedRelease(version=version, manifest_sha256=digest)

    def attest(
        self, release: PlannedRelease, key: AttestingKey, result: str = "PASSED", of: str = ""
    ) -> bytes:
        """The gate's word on a release (or on the manifest `of`), which the releases keys name."""
        word = Attestation.of(
            {"manifest.json": of or release.manifest_sha256},
            Result(result=result, configuration=(), judged_at=self.now),  # type: ignore[arg-type]
        )
        data = seal_attestation(word, key)
        digest = hashlib.sha256(data).hexdigest()
        info = self.roles[RELEASES].targets[manifest_path(MODEL, release.version)]
        info.unrecognized_fields["custom"] = {"gate": digest}
        self.files[attestation_path(digest)] = data
        return data

    def offer(self, release: PlannedRelease, **changes: Any) -> None:
        """Plan the release for everybody, unless `changes` say otherwise; published."""
        fields: dict[str, Any] = {
            "model": MODEL,
            "state": PlanState.RUNNING,
            "release": release,
            "admitted_ppm": 1_000_000,
            "previous_ppm": 0,
            "issued_at": self.now,
        }
        self.plan = Plan(**(fields | changes))
        self.publish()

    def state_support(
        self, until: datetime, text: str = "so long", *, role: str = RELEASES, **changes: Any
    ) -> None:
        """As `role` signs it; a thief signs with what he has."""
        statement = SupportStatement(
            model=MODEL,
            until=until,
            after=changes.get("after", AfterSupport.KEEPS_WORKING_LOCALLY),
            text=text,
            issued_at=changes.get("issued_at", self.now),
        )
        self.add_target(role, support_path(MODEL), encode_json(statement))
        self.publish()

    def sign(self, signed: Any, *names: str) -> bytes:
        metadata: Metadata[Any] = Metadata(signed)
        for name in names:
            for signer in self.signing.get(name, self.signers(name)):
                metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def signers(self, name: str) -> list[CryptoSigner]:
        """Every key of a role; they sign too, unless `signing` says who does."""
        return [self.keys[name], *([self.seconds[name]] if name in self.seconds else [])]

    def _put(self, name: str, signed: Any) -> None:
        signed.version += 1
        data = self.sign(signed, name)
        self.files[f"metadata/{signed.version}.{name}.json"] = data
        if name != "snapshot":
            self.snapshot.meta[f"{name}.json"] = MetaFile.from_data(
                signed.version, data, ["sha256"]
            )


def make_manifest(
    repository: RepositorySimulator, work: Path, version: str, **changes: Any
) -> ReleaseManifest:
    """A manifest with a real image, which lies in the repository."""
    tree = work / f"tree-{version}"
    if not tree.exists():
        make_tree(tree, version)
    image, packed = _packed(tree, digest_tree(tree))
    repository.files[image.path] = packed
    fields: dict[str, Any] = {
        "model": MODEL,
        "hardware_revisions": ("A1", "A2"),
        "version": version,
        "security_counter": 1,
        "interface_version": 1,
        "minimum_version": "0.0.0",
        "built_at": repository.now - timedelta(days=1),
        "image": image,
        "bounds": Bounds(
            not_before=repository.now - timedelta(days=1),
            minimum_duration_seconds=0,
            largest_step_ppm=1_000_000,
        ),
    }
    return ReleaseManifest(**(fields | changes))


def make_tree(tree: Path, version: str) -> None:
    """A small tree of more than one group that does not compress to nothing."""
    (tree / "app").mkdir(parents=True)
    (tree / "firmware.json").write_text(json.dumps({"version": version}))
    (tree / "app" / "main.py").write_text(f"VERSION = {version!r}\n")
    noise = Random(version).randbytes(3 << 19)  # noqa: S311 - the same bytes every time
    (tree / "app" / "data.bin").write_bytes(noise)


_IMAGES: dict[str, tuple[Image, bytes]] = {}
"""By tree: hundreds of tests install the same few."""


def _packed(tree: Path, tree_sha256: str) -> tuple[Image, bytes]:
    if tree_sha256 not in _IMAGES:
        file = tree.with_name(f"{tree.name}.img")
        _IMAGES[tree_sha256] = build_image(tree, file), file.read_bytes()
    return _IMAGES[tree_sha256]


def unreachable(path: str) -> None:
    """A hook: the network is gone."""
    raise Unavailable(f"cannot reach the vendor for {path}", reason="unreachable")
