"""The first version of everything: root, targets with its two delegations, and an idle plan.

Owns who signs what (the thresholds and paths of the roles). Runs once, where
the offline keys are; the running service never imports it.
"""

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
from limpet.wire.rollout import Plan, PlanState, plan_path

from ._lifetimes import RELEASES, ROLLOUT, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from ._metadata import (
    load_drawer_signers,
    meta_file,
    releases_role,
    rollout_role,
    sign_metadata,
)
from ._shelf import Shelf

__all__ = ["found_repository"]

PUBLIC_FILE = 0o644


def found_repository(home: Home, *, now: datetime, passphrase: bytes | None = None) -> None:
    """Make the repository of a new vendor; its keys are there already."""
    shelf = Shelf(home.repository)
    now = now.replace(microsecond=0)
    model = home.settings.model
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
    roles = {
        "targets": sign_metadata(_targets(model, releases, rollout, now), *offline["tuf-targets"]),
        releases_role(model): sign_metadata(Targets(expires=now + RELEASES), *releases),
        rollout_role(model): sign_metadata(_first_plan(shelf, model, now), *rollout),
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


def _targets(
    model: str, releases: list[CryptoSigner], rollout: list[CryptoSigner], now: datetime
) -> Targets:
    """No target of its own: firmware is the releases role's, plans are the rollout role's."""
    delegated = {
        releases_role(model): (releases, f"firmware/{model}/*"),
        rollout_role(model): (rollout, f"rollout/{model}/*"),
    }
    keys: dict[str, Key] = {
        signer.public_key.keyid: signer.public_key
        for signers, _ in delegated.values()
        for signer in signers
    }
    roles = {
        name: DelegatedRole(
            name,
            [signer.public_key.keyid for signer in signers],
            threshold=len(signers),
            terminating=True,
            paths=[pattern],
        )
        for name, (signers, pattern) in delegated.items()
    }
    return Targets(expires=now + TARGETS, delegations=Delegations(keys, roles))


def _first_plan(shelf: Shelf, model: str, now: datetime) -> Targets:
    plan = encode_json(Plan(model=model, state=PlanState.IDLE, issued_at=now))
    path = plan_path(model)
    target = TargetFile.from_data(path, plan, ["sha256"])
    shelf.write(shelf.target_name(path, target.hashes["sha256"]), plan)
    return Targets(expires=now + ROLLOUT, targets={path: target})
