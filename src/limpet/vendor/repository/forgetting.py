"""Files of the repository that no client can ask for any more, and their removal.

Owns the rule, and keeps to what is current as clients see it, verified. What people signed stays
for good: each root, because a device goes through all of them from its own on (TUF 1.0.33, 5.3.3);
targets and releases, because they are the record of what was allowed, and grow with releases alone.
Snapshots, rollout metadata and plans come with each renewal and each step.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise

from tuf.api.metadata import Targets

from limpet.vendor.home import Home, hold_lock
from limpet.wire.rollout import plan_path

from ._metadata import parse_metadata, rollout_role
from ._shelf import Shelf
from ._state import RepositoryState, load_state

__all__ = ["AT_ONCE", "KEPT", "choose_superseded", "forget_superseded"]

KEPT = timedelta(days=30)
"""How long a replaced file stays. A client that holds an older timestamp asks for it for a day at
most: then that one ends. The rest is for whoever looks into a theft of the online keys."""

AT_ONCE = 1000
"""Files removed under the lock of the online keys, for which publications wait."""


def forget_superseded(home: Home, *, now: datetime) -> int:
    """Remove at most `AT_ONCE` files that another one replaced long ago; how many.

    Nothing that is current names them, so a cut at any moment is harmless. Raises `Unavailable` or
    `Rejected`.
    """
    shelf = Shelf(home.repository)
    with hold_lock(home.online / "signing.lock"):
        names = choose_superseded(shelf, load_state(shelf), now=now)[:AT_ONCE]
        for name in names:
            shelf.remove(name)
    return len(names)


def choose_superseded(shelf: Shelf, state: RepositoryState, *, now: datetime) -> list[str]:
    """Names of files that another one replaced more than `KEPT` ago."""
    edge, names = now - KEPT, []
    for version in _replaced(shelf.versions("snapshot"), state.snapshot.version, edge):
        names.append(shelf.metadata_name("snapshot", version))
    for role in state.delegated:
        model = role.partition("/")[2]
        if role == rollout_role(model):
            names += _of_rollout(shelf, role, model, state, edge)
    return names


def _of_rollout(
    shelf: Shelf, role: str, model: str, state: RepositoryState, edge: datetime
) -> list[str]:
    path, current = plan_path(model), state.role(role)
    versions = shelf.versions(role)
    replaced = _replaced(versions, current.version, edge)
    named = {current.targets[path].hashes["sha256"]}
    for version in versions.keys() - set(replaced):
        name = shelf.metadata_name(role, version)
        targets = parse_metadata(shelf.read(name), Targets, what=name).signed.targets
        named |= {target.hashes["sha256"] for target in targets.values()}
    plans = shelf.target_files(path)
    old = [sha256 for sha256, written in plans.items() if written < edge and sha256 not in named]
    return [shelf.metadata_name(role, version) for version in replaced] + [
        shelf.target_name(path, sha256) for sha256 in sorted(old)
    ]


def _replaced(versions: Mapping[int, datetime], current: int, edge: datetime) -> list[int]:
    """Those whose next version was written before `edge`; never the current one, and none above:
    that was left by a cut, and is written over."""
    old = [version for version in versions if version <= current]
    return [one for one, after in pairwise(old) if versions[after] < edge]
