"""A request that changes who may sign: the next root, targets and releases, and in words.

Owns the rules for other holders of offline keys, and for other keys of the server. A request
changes one of the two; whatever else it changes beside keys, thresholds and days is refused, so
that the words say all.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from tuf.api.metadata import Root, Targets

from limpet.crypto.suites import Suite
from limpet.errors import Rejected
from limpet.release._keys import fingerprint

from ._chain import Published
from ._changes import (
    LIFETIMES,
    bare,
    delegated,
    keys_of,
    used_keys,
    verify_keys,
    verify_same,
    verify_time,
)
from ._request import SigningRequest, parse_role
from ._review import Proposed, Review, Rule, verify_signatures

__all__ = ["review_holders"]

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
        verify_time(role, before[role], metadata.signed, now)
    # 3.
    is_free = _is_offline if request.kind == "holders" else _is_online
    verify_same("root", _bare_root(published.root, is_free), _bare_root(root, is_free))
    verify_same(
        "targets", _bare_targets(published.targets, is_free), _bare_targets(targets, is_free)
    )
    # 4. and 5.
    verify_keys(root, root.roles, suite)
    verify_keys(targets, delegated(targets), suite)
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


def _is_offline(role: str) -> bool:
    return role in LIFETIMES or role.startswith(_RELEASES)


def _is_online(role: str) -> bool:
    return not _is_offline(role)


def _bare_root(root: Root, is_free: IsFree) -> dict[str, Any]:
    """Without keys and thresholds of the roles that may change."""
    fields = bare(root)
    roles = {name: _emptied(name, role, is_free) for name, role in fields["roles"].items()}
    return {**fields, "roles": roles, "keys": used_keys(fields["keys"], roles.values())}


def _bare_targets(targets: Targets, is_free: IsFree) -> dict[str, Any]:
    fields = bare(targets)
    held = fields["delegations"]
    roles = [_emptied(role["name"], role, is_free) for role in held["roles"]]
    roles.sort(key=lambda role: str(role["name"]))
    delegations = {**held, "roles": roles, "keys": used_keys(held["keys"], roles)}
    return {**fields, "delegations": delegations}


def _emptied(name: str, role: dict[str, Any], is_free: IsFree) -> dict[str, Any]:
    return role | {"keyids": [], "threshold": 0} if is_free(name) else role


def _verify_anew(published: Published, proposed: Proposed, changed: set[str]) -> None:
    """What lies below targets says what it said, and is there where its keys change."""
    if missing := changed - set(proposed):
        raise Rejected("bad-metadata", f"the keys of {min(missing)} change; it is not signed anew")
    for name in proposed:
        if name not in LIFETIMES:
            verify_same(name, bare(published.role(name)), bare(proposed[name].signed))


def _roles(published: Published, root: Root, targets: Targets, is_free: IsFree) -> Free:
    """What delegates each role that may change, before and after."""
    found: dict[str, tuple[Root | Targets, Root | Targets]]
    found = dict.fromkeys(root.roles, (published.root, root))
    found |= dict.fromkeys(delegated(targets), (published.targets, targets))
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
        people = after.threshold / max(1, len({keys_of(new)[k].scheme for k in after.keyids}))
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
                lines.append((f"  {sign} key", f"{keys_of(holder)[keyid].scheme}"))
                lines.append(("", fingerprint(keyid)))
        if after.threshold < before.threshold:
            warnings.append(f"{name} takes fewer signatures than before")
    return lines, warnings
