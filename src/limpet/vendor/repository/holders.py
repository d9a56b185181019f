"""Other holders of offline keys, as they signed it: judged once more, and published.

Owns the rules for a root, targets and releases that name other keys, and the order in which they
appear. No key of root, targets or releases is here: people signed elsewhere. What is published is
one order, `online/holders.json`, durable before anything is changed, and is then carried out: after
a cut the same command ends what it began. The running service never imports it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Root, Targets

from limpet.crypto.suites import Suite
from limpet.errors import Rejected
from limpet.storage import read_bounded, remove_durably, write_atomic
from limpet.vendor.home import Home, hold_lock
from limpet.wire.codec import Message, decode_json, encode_json
from limpet.wire.metadata import verify_size

from ._lifetimes import SNAPSHOT, TIMESTAMP
from ._metadata import (
    MORE_SIGNERS,
    Metadata,
    load_role_signers,
    meta_file,
    parse_metadata,
    releases_role,
    renewed,
    sign_metadata,
    verify_delegated,
    verify_families,
)
from ._roots import verify_roots
from ._shelf import Shelf
from ._state import RepositoryState, load_state

__all__ = ["VerifiedHolders", "publish_holders", "verify_holders"]

PUBLIC_FILE = 0o644
_ORDER = "holders.json"
_ORDER_BYTES = 64 << 20
_TIMESTAMP = "metadata/timestamp.json"


class _Order(Message, frozen=True, kw_only=True):
    """What is carried out: files of the repository in the order of writing, and the root."""

    published: list[tuple[str, str]]
    root: str
    is_seamless: bool


def _no_hook(name: str) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class VerifiedHolders:
    """The next root, targets and releases. Only `verify_holders` makes one."""

    root_version: int
    roles: dict[str, tuple[int, bytes]]  # targets and what is signed anew below it
    is_seamless: bool  # whether a device with the old root believes the new targets too


def publish_holders(
    home: Home,
    proposed: Mapping[str, bytes],
    *,
    now: datetime,
    after_write: Callable[[str], None] = _no_hook,
) -> bool:
    """Publish root, targets and releases by `proposed`, and let the next firmware carry the root.

    Returns whether devices pass without a gap: else one that asks between two writes refuses what
    it sees, keeps its firmware and asks again. Raises `Rejected`, `Unavailable`; then nothing has
    changed, or the same command ends it.
    """
    file, shelf = home.online / _ORDER, Shelf(home.repository, after_write=after_write)
    with hold_lock(home.online / "signing.lock"):
        if file.exists():
            data = read_bounded(file, max_bytes=_ORDER_BYTES)
            begun = decode_json(data, _Order, max_bytes=_ORDER_BYTES)
            _carry_out(home, shelf, begun)
            if begun.root.encode() == proposed.get("root"):
                return begun.is_seamless
        order = _prepare(home, shelf, proposed, now)
        write_atomic(file, encode_json(order), mode=0o600)
        _carry_out(home, shelf, order)
    return order.is_seamless


def verify_holders(
    proposed: Mapping[str, bytes], state: RepositoryState, *, now: datetime, suites: Sequence[Suite]
) -> VerifiedHolders:
    """Numbered as they run: 1. root and targets pass `verify_roots`; 2. online roles, and all that
    is no key or threshold of an offline role, stay; 3. each model's releases are signed as the next
    targets says: anew, in the next version and with the same targets, or as they lie there.
    Raises `Rejected`.
    """
    # 1.
    if not {"root", "targets"} <= set(proposed):
        raise Rejected("bad-metadata", "root and targets are not both there")
    root, targets = proposed["root"], proposed["targets"]
    verified = verify_roots(root, targets, state, now=now, suites=suites)
    next_root = parse_metadata(root, Root, what="the next root").signed
    next_targets = parse_metadata(targets, Targets, what="the next targets")
    # 2.
    _verify_online(next_root, next_targets.signed, state)
    # 3.
    roles = {"targets": (verified.targets_version, targets)}
    offline = [name for name in state.delegated if name.startswith(releases_role(""))]
    if unknown := set(proposed) - {"root", "targets", *offline}:
        raise Rejected("bad-metadata", f"{min(unknown)} is not published")
    seamless = _fits(state.root, "targets", next_targets, suites)
    for name in offline:
        current = state.delegated[name]
        if name not in proposed:
            _verify(next_targets.signed, name, current, suites)
            continue
        following = parse_metadata(proposed[name], Targets, what=f"the next {name}")
        _verify(next_targets.signed, name, following, suites)
        same = following.signed.targets == current.signed.targets
        if following.signed.version != current.signed.version + 1 or not same:
            raise Rejected("bad-metadata", f"the next {name} changes more than its signatures")
        if following.signed.expires <= now or following.signed.delegations is not None:
            raise Rejected("bad-metadata", f"the next {name} has expired, or delegates")
        roles[name] = (following.signed.version, proposed[name])
    return VerifiedHolders(verified.root_version, roles, seamless)


def _verify_online(root: Root, targets: Targets, state: RepositoryState) -> None:
    for role in ("timestamp", "snapshot"):
        before, after = state.root.roles[role], root.roles[role]
        if before.to_dict() != after.to_dict() or any(
            state.root.keys[keyid] != root.keys.get(keyid) for keyid in before.keyids
        ):
            raise Rejected("bad-metadata", f"the next root changes {role}: its key is online")
    old, new = state.targets.delegations, targets.delegations
    if old is None or new is None or old.roles is None or new.roles is None:
        raise Rejected("bad-metadata", "targets delegates nothing")
    if set(old.roles) != set(new.roles) or targets.targets != state.targets.targets:
        raise Rejected("bad-metadata", "the next targets delegates more or less than before")
    for name, delegated in old.roles.items():
        following = new.roles[name]
        kept = {**delegated.to_dict(), "keyids": [], "threshold": 0}
        changed = {**following.to_dict(), "keyids": [], "threshold": 0}
        is_online = not name.startswith(releases_role(""))
        if kept != changed or (is_online and delegated.to_dict() != following.to_dict()):
            raise Rejected("bad-metadata", f"the next targets changes {name}")


def _verify(
    delegator: Root | Targets, role: str, metadata: Metadata[Targets], suites: Sequence[Suite]
) -> None:
    verify_delegated(delegator, role, metadata, what=f"the next {role}", hint=MORE_SIGNERS)
    verify_families(delegator, role, metadata, what=f"the next {role}", suites=suites)


def _fits(
    delegator: Root | Targets, role: str, metadata: Metadata[Targets], suites: Sequence[Suite]
) -> bool:
    try:
        _verify(delegator, role, metadata, suites)
    except Rejected:
        return False
    return True


def _carry_out(home: Home, shelf: Shelf, order: _Order) -> None:
    for name, text in order.published:
        shelf.write(name, text.encode())
    write_atomic(home.trust / "root.json", order.root.encode(), mode=PUBLIC_FILE)
    remove_durably(home.online / _ORDER)


def _prepare(home: Home, shelf: Shelf, proposed: Mapping[str, bytes], now: datetime) -> _Order:
    state = load_state(shelf)
    verified = verify_holders(proposed, state, now=now, suites=home.suites)
    root = proposed["root"].decode()
    roles = verified.roles
    verify_size("root", proposed["root"])
    files = {f"metadata/{version}.{role}.json": data for role, (version, data) in roles.items()}
    for role, (version, data) in roles.items():
        verify_size(role, data)
        state.snapshot.meta[f"{role}.json"] = meta_file(version, data)
    snapshot = renewed(state.snapshot, now=now, lifetime=SNAPSHOT)
    signers = load_role_signers(home.online, "tuf-snapshot", state.root, "snapshot")
    data = sign_metadata(snapshot, *signers)
    verify_size("snapshot", data)
    files[f"metadata/{snapshot.version}.snapshot.json"] = data
    state.timestamp.snapshot_meta = meta_file(snapshot.version, data)
    timestamp = renewed(state.timestamp, now=now, lifetime=TIMESTAMP)
    signers = load_role_signers(home.online, "tuf-timestamp", state.root, "timestamp")
    published = [(name, content.decode()) for name, content in files.items()]
    last = [(_TIMESTAMP, sign_metadata(timestamp, *signers).decode())]
    # Root last, where all below it is valid under the old one as well: no device sees a gap. Else
    # just before the timestamp: the old keys may sign nothing from then on.
    name = f"metadata/{verified.root_version}.root.json"
    last.insert(1 if verified.is_seamless else 0, (name, root))
    seamless = verified.is_seamless
    return _Order(published=[*published, *last], root=root, is_seamless=seamless)
