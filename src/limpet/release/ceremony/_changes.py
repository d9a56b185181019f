"""What the next version of root and targets may change, whatever a request is for.

Owns the rules that requests for holders, for online keys and for models share.
"""

import copy
import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from securesystemslib.formats import encode_canonical
from tuf.api.metadata import Key, Role, Root, Targets

from limpet.crypto.policy import missing_families
from limpet.crypto.suites import Suite
from limpet.errors import Rejected
from limpet.firmware.signatures import families_of

from ._releases import CLOCK_SLACK
from ._request import OTHER_SUITE, verify_kept_schemes

__all__ = [
    "LIFETIMES",
    "RELEASES_LIFETIME",
    "bare",
    "delegated",
    "keys_of",
    "used_keys",
    "verify_keys",
    "verify_same",
    "verify_time",
]

LIFETIMES = {"root": timedelta(days=730), "targets": timedelta(days=365)}
RELEASES_LIFETIME = timedelta(days=365)


def verify_time(role: str, old: Any, new: Any, now: datetime) -> None:
    """Raise `Rejected` unless `new` is the next version of `role`, and ends in time, no sooner."""
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


def bare(signed: Root | Targets) -> dict[str, Any]:
    """Without what every next version changes."""
    fields = copy.deepcopy(signed.to_dict())
    return {name: value for name, value in fields.items() if name not in ("version", "expires")}


def used_keys(keys: Mapping[str, Any], roles: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Those of `keys` that `roles` name, both as TUF writes them."""
    named = {keyid for role in roles for keyid in role["keyids"]}
    return {keyid: key for keyid, key in keys.items() if keyid in named}


def verify_same(role: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise `Rejected("bad-metadata")` if what may not change does."""
    if old != new:
        raise Rejected(
            "bad-metadata",
            f"the next {role} changes more than who may sign, and until when",
            hint="sign it not: ask who made the request, and how",
        )


def verify_keys(delegator: Root | Targets, roles: Mapping[str, Role], suite: Suite) -> None:
    """Raise `Rejected` unless each key stands under its own id and is of a scheme that devices
    accept, and each role's keys are enough for its threshold, in each family."""
    _verify_key_ids(delegator, roles)
    verify_kept_schemes(delegator, what=f"the next {delegator.type}", suite=suite)
    for name, one in roles.items():
        _verify_reachable(delegator, name, one, suite)


def _verify_key_ids(delegator: Root | Targets, roles: Mapping[str, Role]) -> None:
    keys = keys_of(delegator)
    named = {keyid for role in roles.values() for keyid in role.keyids}
    if set(keys) != named:
        raise Rejected("bad-metadata", f"the next {delegator.type} has keys that no role names")
    for keyid, key in keys.items():
        fields = {"keytype": key.keytype, "scheme": key.scheme, "keyval": key.keyval}
        if hashlib.sha256(str(encode_canonical(fields)).encode()).hexdigest() != keyid:
            raise Rejected("bad-metadata", f"{keyid[:16]} is not the id of the key under it")


def _verify_reachable(delegator: Root | Targets, name: str, role: Role, suite: Suite) -> None:
    keys = keys_of(delegator)
    schemes = [keys[keyid].scheme for keyid in role.keyids]
    missing = missing_families(
        schemes, named=schemes, families=families_of(name, suite), threshold=role.threshold
    )
    if role.threshold > len(schemes) or missing:
        lack = f", and of {', '.join(missing)} too few" if missing else ""
        hint = "nobody could sign for it ever again"
        raise Rejected(
            "unreachable",
            f"{name} would ask for {role.threshold} signatures of {len(schemes)} keys{lack}",
            hint=f"{hint}; {OTHER_SUITE}" if role.threshold <= len(schemes) else hint,
        )


def keys_of(delegator: Root | Targets) -> dict[str, Key]:
    """The keys by id."""
    if isinstance(delegator, Root):
        return delegator.keys
    return delegator.delegations.keys if delegator.delegations else {}


def delegated(targets: Targets) -> dict[str, Role]:
    """The roles below targets by name."""
    roles = targets.delegations.roles if targets.delegations else None
    return dict(roles or {})
