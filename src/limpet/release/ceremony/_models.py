"""A request to let another model join: two roles below targets, and its first releases.

Owns the rules for it. Whatever else the next targets says, it says as before, so that the words
say all.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from tuf.api.metadata import Role, Signed, Targets

from limpet.crypto.suites import Suite
from limpet.errors import Rejected
from limpet.release._keys import fingerprint
from limpet.wire.release import firmware_pattern
from limpet.wire.rollout import plan_pattern

from ._chain import Published, verify_fresh
from ._changes import (
    RELEASES_LIFETIME,
    bare,
    delegated,
    keys_of,
    used_keys,
    verify_keys,
    verify_same,
    verify_time,
)
from ._releases import CLOCK_SLACK
from ._request import SigningRequest, parse_role
from ._review import Review, Rule, verify_signatures

__all__ = ["review_model"]

_RELEASES = "releases/"
Line = tuple[str, str]


def review_model(
    request: SigningRequest, published: Published, suite: Suite, *, now: datetime
) -> Review:
    """Numbered as they run: 1. targets and the releases of one model are proposed, and devices get
    as far as targets; 2. targets is the next version and ends in time; it says of all others what
    it said; 3. it delegates firmware and plans of this model, which it did not before, each
    terminating and with its own directory; 4. its keys pass `verify_keys`; 5. the releases are a
    first version that lists nothing and ends within a year; 6. each signature fits. Raises
    `Rejected`.
    """
    # 1.
    names = set(request.proposed) - {"targets"}
    if len(names) != 1 or len(request.proposed) != 2 or set(request.current) != {"targets"}:
        raise Rejected("malformed", "the request is for more or less than one model")
    [name] = names
    model = name.removeprefix(_RELEASES)
    proposed = {role: parse_role(role, data) for role, data in request.proposed.items()}
    targets, first = proposed["targets"].signed, proposed[name].signed
    if not (isinstance(targets, Targets) and isinstance(first, Targets)):
        raise Rejected("malformed", "what is proposed is no metadata of targets")
    verify_fresh(published, now)
    # 2.
    verify_time("targets", published.targets, targets, now)
    joining = {name: firmware_pattern(model), f"rollout/{model}": plan_pattern(model)}
    verify_same("targets", _without(published.targets, ()), _without(targets, joining))
    # 3.
    roles = delegated(targets)
    for role, pattern in joining.items():
        _verify_role(published, roles, role, pattern)
    # 4.
    verify_keys(targets, roles, suite)
    # 5.
    _verify_first(name, first, now)
    # 6.
    rules = (
        Rule("targets", published.root, f"root {published.root.version}"),
        Rule(name, targets, f"targets {targets.version}"),
    )
    verify_signatures(proposed, rules)
    ends = [_end(role, one.signed) for role, one in proposed.items()]
    return Review(
        title=f"another model: {model}",
        lines=(*(line for role in joining for line in _holders(targets, role)), *ends),
        warnings=tuple(_warnings(targets, name)),
        proposed=proposed,
        rules=rules,
    )


def _without(targets: Targets, names: Collection[str]) -> dict[str, Any]:
    """All that it says but of these roles."""
    fields = bare(targets)
    held = fields["delegations"]
    roles = [role for role in held["roles"] if role["name"] not in names]
    roles.sort(key=lambda role: str(role["name"]))
    delegations = {**held, "roles": roles, "keys": used_keys(held["keys"], roles)}
    return {**fields, "delegations": delegations}


def _verify_role(published: Published, roles: dict[str, Role], name: str, pattern: str) -> None:
    if name in delegated(published.targets):
        raise Rejected("known-model", f"{name} is published already")
    expected = {"name": name, "terminating": True, "paths": [pattern]}
    said = roles[name].to_dict() if name in roles else {}
    if {
        key: value for key, value in said.items() if key not in ("keyids", "threshold")
    } != expected:
        raise Rejected("bad-metadata", f"the next targets does not give {name} {pattern} alone")


def _verify_first(name: str, first: Targets, now: datetime) -> None:
    if bare(first) != bare(Targets(expires=first.expires)) or first.version != 1:
        raise Rejected("bad-metadata", f"{name} does not begin with nothing")
    if not now < first.expires <= now + RELEASES_LIFETIME + CLOCK_SLACK:
        raise Rejected(
            "expired-metadata",
            f"{name} would be good until {first.expires:%Y-%m-%d}",
            hint="is this computer's clock right?",
        )


def _holders(targets: Targets, name: str) -> list[Line]:
    role, keys = targets.get_delegated_role(name), keys_of(targets)
    lines = [(name, f"{role.threshold} of {len(role.keyids)} keys")]
    for keyid in role.keyids:
        lines += [("  + key", keys[keyid].scheme), ("", fingerprint(keyid))]
    return lines


def _end(role: str, signed: Signed) -> Line:
    return role, f"version {signed.version}, until {signed.expires:%Y-%m-%d}"


def _warnings(targets: Targets, name: str) -> list[str]:
    role, keys = targets.get_delegated_role(name), keys_of(targets)
    if role.threshold <= len({keys[keyid].scheme for keyid in role.keyids}):
        return [f"one person alone can sign for {name}"]
    return []
