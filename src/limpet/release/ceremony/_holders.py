"""A request that changes who may sign: the next root, targets and releases, and in words.

Owns the rules for other holders of offline keys, and for other keys of the server. A request
changes one of the two; whatever else it changes beside keys, thresholds and days is refused, so
that the words say all.
"""

import copy
import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from securesystemslib.formats import encode_canonical
from tuf.api.metadata import Key, Role, Root, Targets

from limpet.crypto.policy import missing_families
from limpet.crypto.suites import Suite
from limpet.errors import Rejected
from limpet.firmware.signatures import families_of
from limpet.release._keys import fingerprint

from ._chain import Published
from ._releases import CLOCK_SLACK
from ._request import SigningRequest, parse_role, verify_kept_schemes
from ._review import Proposed, Review, Rule, verify_signatures

__all__ = ["LIFETIMES", "review_holders"]

LIFETIMES = {"root": timedelta(days=730), "targets": timedelta(days=365)}
RELEASES_LIFETIME = timedelta(days=365)
_RELEASES = "releases/"
_TITLES = {"holders": "who may sign", "online": "other keys of the server"}
Line = tuple[str, str]
IsFree = Callable[[str], bool]
Free = Mapping[str, tuple[Root | Targets, Root | Targets]]


def review_holders(
    request: SigningRequest, published: Published, suite: Suite, *, now: datetime
) -> Review:
    """Numbered as they run: 1. root and targets are proposed, and nothing that is not published;
    2. each is the next version and ends in time, not before the one it replaces; 3. nothing is
    changed but keys and thresholds, of root, targets and releases by a request of kind `holders`,
    of timestamp, snapshot and plans by one of kind `online`; 4. each key stands under its own
    id and is of a scheme that devices accept; 5. the keys that a role names are enough for its
    threshold, in each family; 6. releases whose keys change are signed anew, and say what they
    said; 7. each signature fits. Raises `Rejected`.
    """
    # 1.
    proposed = {role: parse_role(role, data) for role, data in request.proposed.items()}
    may_follow = {"root", *request.current} if request.kind == "holders" else {"root", "targets"}
    if not {"root", "targets"} <= set(proposed) <= may_follow:
        raise Rejected("malformed", "the request lacks a role, or brings one that nobody knows")
    root, targets = _signed(proposed, "root", Root), _signed(proposed, "targets", Targets)
    before: dict[str, Root | Targets] = {"root": published.root, "targets": published.targets}
    before |= published.roles
    # 2.
    for role, metadata in proposed.items():
        _verify_time(role, before[role], metadata.signed, now)
    # 3.
    is_free = _is_offline if request.kind == "holders" else _is_online
    _verify_same("root", _bare_root(published.root, is_free), _bare_root(root, is_free))
    _verify_same(
        "targets", _bare_targets(published.targets, is_free), _bare_targets(targets, is_free)
    )
    # 4. and 5.
    _verify_keys(root, root.roles, suite)
    _verify_keys(targets, _delegated(targets), suite)
    # 6.
    free = _roles(published, root, targets, is_free)
    changed = _changed_roles(free)
    _verify_anew(published, proposed, {name for name in changed if name.startswith(_RELEASES)})
    # 7.
    rules = _rules(published, root, targets, proposed)
    verify_signatures(proposed, rules)
    lines, warnings = _words(free, changed)
    for role, metadata in proposed.items():
        signed = metadata.signed
        lines.append((role, f"version {signed.version}, until {signed.expires:%Y-%m-%d}"))
    return Review(
        title=f"root {root.version}: {_TITLES[request.kind]}",
        lines=tuple(lines),
        warnings=tuple(warnings),
        proposed=proposed,
        rules=rules,
    )


def _signed(proposed: Proposed, role: str, kind: type) -> Any:
    signed = proposed[role].signed
    assert isinstance(signed, kind)  # noqa: S101 - parse_role returns no other
    return signed


def _verify_time(role: str, old: Any, new: Any, now: datetime) -> None:
    if new.version != old.version + 1:
        raise Rejected(
            "wrong-version",
            f"{role} would be version {new.version}; what follows is {old.version + 1}",
            hint="ask for a request that was made from the current repository",
        )
    latest = now + LIFETIMES.get(role, RELEASES_LIFETIME) + CLOCK_SLACK
    if not max(now, old.expires) <= new.expires <= latest:
        raise Rejected(
            "expired-metadata",
            f"{role} would be good until {new.expires:%Y-%m-%d}, and is now until"
            f" {old.expires:%Y-%m-%d}",
            hint="is this computer's clock right?",
        )


def _bare(signed: Root | Targets) -> dict[str, Any]:
    """Without what every next version changes."""
    fields = copy.deepcopy(signed.to_dict())
    return {name: value for name, value in fields.items() if name not in ("version", "expires")}


def _is_offline(role: str) -> bool:
    return role in LIFETIMES or role.startswith(_RELEASES)


def _is_online(role: str) -> bool:
    return not _is_offline(role)


def _bare_root(root: Root, is_free: IsFree) -> dict[str, Any]:
    """Without keys and thresholds of the roles that may change."""
    fields = _bare(root)
    roles = {name: _emptied(name, role, is_free) for name, role in fields["roles"].items()}
    return {**fields, "roles": roles, "keys": _used(fields["keys"], roles.values())}


def _bare_targets(targets: Targets, is_free: IsFree) -> dict[str, Any]:
    fields = _bare(targets)
    held = fields["delegations"]
    roles = [_emptied(role["name"], role, is_free) for role in held["roles"]]
    roles.sort(key=lambda role: str(role["name"]))
    delegations = {**held, "roles": roles, "keys": _used(held["keys"], roles)}
    return {**fields, "delegations": delegations}


def _emptied(name: str, role: dict[str, Any], is_free: IsFree) -> dict[str, Any]:
    return role | {"keyids": [], "threshold": 0} if is_free(name) else role


def _used(keys: Mapping[str, Any], roles: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    named = {keyid for role in roles for keyid in role["keyids"]}
    return {keyid: key for keyid, key in keys.items() if keyid in named}


def _verify_same(role: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if old != new:
        raise Rejected(
            "bad-metadata",
            f"the next {role} changes more than who may sign, and until when",
            hint="sign it not: ask who made the request, and how",
        )


def _verify_anew(published: Published, proposed: Proposed, changed: set[str]) -> None:
    """What lies below targets says what it said, and is there where its keys change."""
    if missing := changed - set(proposed):
        raise Rejected("bad-metadata", f"the keys of {min(missing)} change; it is not signed anew")
    for name in proposed:
        if name not in LIFETIMES:
            _verify_same(name, _bare(published.role(name)), _bare(proposed[name].signed))


def _verify_keys(delegator: Root | Targets, roles: Mapping[str, Role], suite: Suite) -> None:
    _verify_key_ids(delegator, roles)
    verify_kept_schemes(delegator, what=f"the next {delegator.type}", suite=suite)
    for name, one in roles.items():
        _verify_reachable(delegator, name, one, suite)


def _verify_key_ids(delegator: Root | Targets, roles: Mapping[str, Role]) -> None:
    keys = _keys(delegator)
    named = {keyid for role in roles.values() for keyid in role.keyids}
    if set(keys) != named:
        raise Rejected("bad-metadata", f"the next {delegator.type} has keys that no role names")
    for keyid, key in keys.items():
        fields = {"keytype": key.keytype, "scheme": key.scheme, "keyval": key.keyval}
        if hashlib.sha256(str(encode_canonical(fields)).encode()).hexdigest() != keyid:
            raise Rejected("bad-metadata", f"{keyid[:16]} is not the id of the key under it")


def _verify_reachable(delegator: Root | Targets, name: str, role: Role, suite: Suite) -> None:
    keys = _keys(delegator)
    schemes = [keys[keyid].scheme for keyid in role.keyids]
    missing = missing_families(
        schemes, named=schemes, families=families_of(name, suite), threshold=role.threshold
    )
    if role.threshold > len(schemes) or missing:
        lack = f", and of {', '.join(missing)} too few" if missing else ""
        raise Rejected(
            "unreachable",
            f"{name} would ask for {role.threshold} signatures of {len(schemes)} keys{lack}",
            hint="nobody could sign for it ever again",
        )


def _keys(delegator: Root | Targets) -> dict[str, Key]:
    if isinstance(delegator, Root):
        return delegator.keys
    return delegator.delegations.keys if delegator.delegations else {}


def _delegated(targets: Targets) -> dict[str, Role]:
    roles = targets.delegations.roles if targets.delegations else None
    return dict(roles or {})


def _roles(published: Published, root: Root, targets: Targets, is_free: IsFree) -> Free:
    """What delegates each role that may change, before and after."""
    found: dict[str, tuple[Root | Targets, Root | Targets]]
    found = dict.fromkeys(root.roles, (published.root, root))
    found |= dict.fromkeys(_delegated(targets), (published.targets, targets))
    return {name: pair for name, pair in found.items() if is_free(name)}


def _changed_roles(free: Free) -> set[str]:
    changed = set()
    for name, (old, new) in free.items():
        before, after = old.get_delegated_role(name), new.get_delegated_role(name)
        if set(before.keyids) != set(after.keyids) or before.threshold != after.threshold:
            changed.add(name)
    return changed


def _rules(
    published: Published, root: Root, targets: Targets, proposed: Proposed
) -> tuple[Rule, ...]:
    """Root by both roots (TUF 5.3.4, 5.3.5); what is below by what comes, and targets, for devices
    that look before they have the next root, by what goes."""
    rules = [
        Rule("root", published.root, f"root {published.root.version}"),
        Rule("root", root, f"root {root.version}"),
        Rule("targets", root, f"root {root.version}"),
        Rule("targets", published.root, f"root {published.root.version}", is_needed=False),
    ]
    for name in proposed:
        if name not in LIFETIMES:
            rules.append(Rule(name, targets, f"targets {targets.version}"))
    return tuple(rules)


def _words(free: Free, changed: set[str]) -> tuple[list[Line], list[str]]:
    lines: list[Line] = []
    warnings: list[str] = []
    for name, (old, new) in free.items():
        before, after = old.get_delegated_role(name), new.get_delegated_role(name)
        people = after.threshold / max(1, len({_keys(new)[k].scheme for k in after.keyids}))
        if people <= 1 and _is_offline(name):
            warnings.append(f"one person alone can sign for {name}")
        if name not in changed:
            lines.append((name, f"as it is: {after.threshold} of {len(after.keyids)} keys"))
            continue
        count = f"{after.threshold} of {len(after.keyids)} keys"
        lines.append((name, f"{count}  (was {before.threshold} of {len(before.keyids)})"))
        for sign, keyids, holder in (
            ("+", [k for k in after.keyids if k not in before.keyids], new),
            ("-", [k for k in before.keyids if k not in after.keyids], old),
        ):
            for keyid in keyids:
                lines.append((f"  {sign} key", f"{_keys(holder)[keyid].scheme}"))
                lines.append(("", fingerprint(keyid)))
        if after.threshold < before.threshold:
            warnings.append(f"{name} takes fewer signatures than before")
    return lines, warnings
