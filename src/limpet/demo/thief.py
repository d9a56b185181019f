"""What an attacker can do who has taken the vendor's online server, and what a tired signer can.

Works with the stolen keys and files alone, through the TUF metadata API: it uses
none of the vendor's own checks, because a thief would not.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Snapshot, TargetFile, Targets, Timestamp

from limpet.crypto.keys import signing_key_from_pem
from limpet.demo.world import World, now
from limpet.storage import write_atomic
from limpet.wire.codec import decode_json, encode_json
from limpet.wire.release import MANIFEST_BYTES, ReleaseManifest, manifest_path
from limpet.wire.rollout import Plan, PlannedRelease, PlanState, plan_path

__all__ = ["Thief"]

MODEL = "thermostat"


class Thief:
    """Holds the online keys; `sign_offline` is for the one act that needs a releases key."""

    def __init__(self, world: World) -> None:
        self._vendor = world.vendor
        self._repository = world.vendor / "public" / "repository"

    def offer(self, version: str, manifest_sha256: str, **changes: Any) -> None:
        """Offer a manifest, by its hash, to every device at once, and deny that this is a step;
        `changes` replace fields of the plan."""
        fields: dict[str, Any] = {
            "model": MODEL,
            "state": PlanState.RUNNING,
            "release": PlannedRelease(version=version, manifest_sha256=manifest_sha256),
            "admitted_ppm": 1_000_000,
            "previous_ppm": 1_000_000,
            "issued_at": now(),
        }
        plan = Plan(**(fields | changes))
        self._publish(f"rollout/{MODEL}", plan_path(MODEL), encode_json(plan), self._online())

    @contextlib.contextmanager
    def covering_its_tracks(self) -> Iterator[None]:
        """Afterwards nothing is offered, and the plans of the block are gone from the server:
        who looks at the vendor later, as the audit does, does not hold them against it."""
        plans = self._repository / "targets" / "rollout"
        before = set(plans.rglob("*.json"))
        yield
        made = set(plans.rglob("*.json")) - before
        self.stop_offering()
        for plan in made:
            plan.unlink()

    def stop_offering(self) -> None:
        """Offer nothing any more."""
        plan = Plan(model=MODEL, state=PlanState.IDLE, issued_at=now())
        self._publish(f"rollout/{MODEL}", plan_path(MODEL), encode_json(plan), self._online())

    def manifest(self, release: Path, **changes: object) -> bytes:
        """A release's manifest with some fields changed."""
        data = (release / "manifest.json").read_bytes()
        manifest = decode_json(data, ReleaseManifest, max_bytes=MANIFEST_BYTES)
        return encode_json(msgspec.structs.replace(manifest, **changes))

    def place_unsigned(self, manifest: bytes, version: str) -> None:
        """Put a manifest where devices would fetch it, without the releases role's word."""
        self._write_target(manifest_path(MODEL, version), manifest)

    def sign_offline(self, manifest: bytes, version: str) -> None:
        """Have the releases keys sign a manifest that the vendor's tools would refuse."""
        keys = sorted((self._vendor / "offline").glob(f"releases-{MODEL}*.pem"))
        self._publish(f"releases/{MODEL}", manifest_path(MODEL, version), manifest, keys)

    def _online(self, name: str = f"rollout-{MODEL}") -> list[Path]:
        return [self._vendor / "online" / f"{name}.pem"]

    def _write_target(self, path: str, data: bytes) -> None:
        where = self._repository / "targets" / path
        where = where.with_name(f"{hashlib.sha256(data).hexdigest()}.{where.name}")
        where.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(where, data, mode=0o644)

    def _publish(self, role: str, path: str, data: bytes, keys: list[Path]) -> None:
        self._write_target(path, data)
        timestamp = self._load("timestamp", None, Timestamp)
        snapshot = self._load("snapshot", timestamp.signed.snapshot_meta.version, Snapshot)
        targets = self._load(role, snapshot.signed.meta[f"{role}.json"].version, Targets)
        targets.signed.targets[path] = TargetFile.from_data(path, data, ["sha256"])
        snapshot.signed.meta[f"{role}.json"] = self._store(role, targets, keys)
        timestamp.signed.snapshot_meta = self._store(
            "snapshot", snapshot, self._online("tuf-snapshot")
        )
        self._store("timestamp", timestamp, self._online("tuf-timestamp"))

    def _load(self, role: str, version: int | None, kind: type) -> Metadata:  # type: ignore[type-arg]
        name = f"{role}.json" if version is None else f"{version}.{role}.json"
        found = Metadata[kind].from_file(str(self._repository / "metadata" / name))  # type: ignore[valid-type]
        return found

    def _store(self, role: str, metadata: Metadata, keys: list[Path]) -> MetaFile:  # type: ignore[type-arg]
        metadata.signed.version += 1
        metadata.signed.expires = now().replace(microsecond=0) + timedelta(days=1)
        metadata.signatures.clear()
        for key in keys:
            metadata.sign(_signer(key), append=True)
        data = metadata.to_bytes()
        version = metadata.signed.version
        name = f"{role}.json" if role == "timestamp" else f"{version}.{role}.json"
        where = self._repository / "metadata" / name
        where.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(where, data, mode=0o644)
        return MetaFile.from_data(version, data, ["sha256"])


def _signer(key: Path) -> CryptoSigner:
    return CryptoSigner(signing_key_from_pem(key.read_bytes()))
