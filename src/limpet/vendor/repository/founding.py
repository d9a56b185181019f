"""The first version of everything: root, targets, and of a model two roles and an idle plan.

Owns who signs what (the thresholds and paths of the roles). Runs once, where
the offline keys are; the running service never imports it.
"""

from collections.abc import Sequence
from datetime import datetime

from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from limpet.storage import write_atomic
from limpet.vendor.home import Home
from limpet.wire.codec import encode_json
from limpet.wire.release import firmware_pattern
from limpet.wire.rollout import Plan, PlanState, plan_path, plan_pattern

from ._lifetimes import RELEASES, ROLLOUT, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from ._metadata import (
    load_drawer_signers,
    meta_file,
    releases_role,
    rollout_role,
    sign_metadata,
)
from ._shelf import Shelf

__all__ = [
    "delegate",
    "first_metadata",
    "first_plan",
    "first_rollout",
    "found_repository",
    "keys_of",
]

PUBLIC_FILE = 0o644


def found_repository(home: Home, *, now: datetime, passphrase: bytes | None = None) -> None:
    """Make the repository of a new vendor; its keys are there already."""
    shelf = Shelf(home.repository)
    now = now.replace(microsecond=0)
    model = home.model
    offline = {
        name: load_drawer_signers(home.offline, name, passphrase=passphrase)
        for name in ("tuf-root", "tuf-targets", f"releases-{model}")
    }
    online = {
        name: load_drawer_signers(home.online, name)
        for name in ("tuf-timestamp", "tuf-snapshot", f"rollout-{model}")
    }
    root = _root(offline, online, now)
    shelf.write("metadata/1.root.json", root)
    write_atomic(home.trust / "root.json", root, mode=PUBLIC_FILE)
    releases, rollout = offline[f"releases-{model}"], online[f"rollout-{model}"]
    path, plan = first_plan(model, now)
    digest = TargetFile.from_data(path, plan, ["sha256"]).hashes["sha256"]
    shelf.write(shelf.target_name(path, digest), plan)
    delegations = Delegations(*delegate(model, keys_of(releases), keys_of(rollout)))
    targets = Targets(expires=now + TARGETS, delegations=delegations)
    roles = {
        "targets": sign_metadata(targets, *offline["tuf-targets"]),
        **first_metadata(model, releases, rollout, now),
    }
    for role, data in roles.items():
        shelf.write(shelf.metadata_name(role, 1), data)
    snapshot = Snapshot(expires=now + SNAPSHOT)
    snapshot.meta = {f"{role}.json": meta_file(1, data) for role, data in roles.items()}
    data = sign_metadata(snapshot, *online["tuf-snapshot"])
    shelf.write(shelf.metadata_name("snapshot", 1), data)
    timestamp = Timestamp(expires=now + TIMESTAMP, snapshot_meta=meta_file(1, data))
    shelf.write("metadata/timestamp.json", sign_metadata(timestamp, *online["tuf-timestamp"]))


def _root(
    offline: dict[str, list[CryptoSigner]], online: dict[str, list[CryptoSigner]], now: datetime
) -> bytes:
    """Each role's threshold is all of its keys: one of each family."""
    root = Root(expires=now + ROOT, consistent_snapshot=True)
    holders = {
        "root": offline["tuf-root"],
        "targets": offline["tuf-targets"],
        "snapshot": online["tuf-snapshot"],
        "timestamp": online["tuf-timestamp"],
    }
    for role, signers in holders.items():
        for signer in signers:
            root.add_key(signer.public_key, role)
        root.roles[role].threshold = len(signers)
    return sign_metadata(root, *offline["tuf-root"])


def keys_of(signers: Sequence[CryptoSigner]) -> list[Key]:
    """The public halves."""
    return [signer.public_key for signer in signers]


def delegate(
    model: str, releases: Sequence[Key], rollout: Sequence[Key], *, threshold: int | None = None
) -> tuple[dict[str, Key], dict[str, DelegatedRole]]:
    """What targets says of a model: its firmware is the one role's, its plans are the other's.

    `threshold` of releases: all of its keys, if it is not said.
    """
    keys = {key.keyid: key for key in (*releases, *rollout)}
    roles = [
        DelegatedRole(name, [key.keyid for key in held], number, terminating=True, paths=[pattern])
        for name, held, number, pattern in (
            (releases_role(model), releases, threshold or len(releases), firmware_pattern(model)),
            (rollout_role(model), rollout, len(rollout), plan_pattern(model)),
        )
    ]
    return keys, {role.name: role for role in roles}


def first_plan(model: str, now: datetime) -> tuple[str, bytes]:
    """The path and the content of a plan that offers nothing."""
    return plan_path(model), encode_json(Plan(model=model, state=PlanState.IDLE, issued_at=now))


def first_metadata(
    model: str, releases: list[CryptoSigner], rollout: list[CryptoSigner], now: datetime
) -> dict[str, bytes]:
    """The first version of a model's two roles, by name: no release, and `first_plan`."""
    return {
        releases_role(model): sign_metadata(Targets(expires=now + RELEASES), *releases),
        rollout_role(model): first_rollout(model, rollout, now),
    }


def first_rollout(model: str, rollout: Sequence[CryptoSigner], now: datetime) -> bytes:
    """The first version of a model's plans: `first_plan`, signed online."""
    path, plan = first_plan(model, now)
    plans = {path: TargetFile.from_data(path, plan, ["sha256"])}
    return sign_metadata(Targets(expires=now + ROLLOUT, targets=plans), *rollout)
