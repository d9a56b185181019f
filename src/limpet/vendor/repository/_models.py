"""Whether another model may join the repository: the rules, without a file or a clock.

Owns the check of the next targets that delegates two roles more, and of their first versions.
Only `verify_model` makes a `VerifiedModel`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import TargetFile, Targets

from limpet.crypto.suites import Suite
from limpet.errors import Rejected
from limpet.wire.release import firmware_pattern
from limpet.wire.rollout import plan_path, plan_pattern

from ._metadata import (
    MORE_SIGNERS,
    parse_metadata,
    releases_role,
    rollout_role,
    verify_delegated,
    verify_families,
    verify_schemes,
)
from ._state import RepositoryState

__all__ = ["OfferedModel", "VerifiedModel", "verify_model"]

_WHAT = "the next targets"


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """What the offline side hands over; nothing of it is trusted yet."""

    model: str
    targets: bytes  # the next targets
    releases: bytes  # the first `releases/<model>`
    rollout: bytes  # the first `rollout/<model>`
    plan: bytes  # what it signs


@dataclass(frozen=True, slots=True)
class VerifiedModel:
    """A model that may join: versions and files by role, in the order in which they appear."""

    roles: dict[str, tuple[int, bytes]]
    plan: TargetFile


def verify_model(
    offered: OfferedModel, state: RepositoryState, *, now: datetime, suites: Sequence[Suite]
) -> VerifiedModel:
    """Numbered as they run: 1. each family of root's keys signed the next targets, and devices
    accept every key that it names; 2. it is the next version, not expired, and lasts no shorter;
    3. it says of all that is published what it said; 4. it delegates the model's two roles, each
    terminating and with its own directory; 5. both are signed as it says, in their first version
    and not expired; 6. releases is empty, and rollout signs the plan alone. Raises `Rejected`.
    """
    # 1.
    metadata = parse_metadata(offered.targets, Targets, what=_WHAT)
    verify_delegated(state.root, "targets", metadata, what=_WHAT, hint=MORE_SIGNERS)
    verify_families(state.root, "targets", metadata, what=_WHAT, suites=suites)
    verify_schemes(metadata.signed, what=_WHAT, suites=suites)
    # 2.
    targets = metadata.signed
    if targets.version != state.targets.version + 1:
        raise Rejected("wrong-version", f"targets is not version {state.targets.version + 1}")
    if targets.expires <= now or targets.expires < state.targets.expires:
        raise Rejected("expired-metadata", f"{_WHAT} ends on {targets.expires:%Y-%m-%d}")
    # 3. and 4.
    _verify_delegations(offered.model, targets, state.targets)
    # 5.
    names = (releases_role(offered.model), rollout_role(offered.model))
    signed = []
    for name, data in zip(names, (offered.releases, offered.rollout), strict=True):
        first = parse_metadata(data, Targets, what=name)
        verify_delegated(targets, name, first, what=name)
        verify_families(targets, name, first, what=name, suites=suites)
        if first.signed.version != 1 or first.signed.expires <= now or first.signed.delegations:
            raise Rejected("bad-metadata", f"{name} is no valid first version")
        signed.append(first.signed)
    # 6.
    path = plan_path(offered.model)
    plan = TargetFile.from_data(path, offered.plan, ["sha256"])
    if signed[0].targets or signed[1].targets != {path: plan}:
        raise Rejected("bad-metadata", f"{offered.model} does not begin with an idle plan alone")
    firsts = zip(names, (offered.releases, offered.rollout), strict=True)
    roles = {name: (1, data) for name, data in firsts}
    return VerifiedModel({**roles, "targets": (targets.version, offered.targets)}, plan)


def _verify_delegations(model: str, offered: Targets, current: Targets) -> None:
    before, after = current.delegations, offered.delegations
    if before is None or after is None:
        raise Rejected("bad-metadata", f"{_WHAT} delegates nothing")
    old, new = before.roles or {}, after.roles or {}
    wanted = {
        releases_role(model): [firmware_pattern(model)],
        rollout_role(model): [plan_pattern(model)],
    }
    kept = all(new.get(name) == role for name, role in old.items())
    known = all(after.keys.get(keyid) == key for keyid, key in before.keys.items())
    if not (kept and known) or offered.targets != current.targets:
        raise Rejected("bad-metadata", f"{_WHAT} changes what it says of other models")
    if set(new) != set(old) | set(wanted) or set(wanted) & set(old):
        raise Rejected("bad-metadata", f"{_WHAT} delegates more or less than {model}")
    for name, paths in wanted.items():
        role = new[name]
        if role.paths != paths or not role.terminating:
            raise Rejected("bad-metadata", f"{_WHAT} delegates {name} other paths than its own")
