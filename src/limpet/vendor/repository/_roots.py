"""Whether the next root and targets may be published: the rules, without a file or a clock.

Owns the check of the two roles that are renewed with the drawer open. Only
`verify_roots` makes a `VerifiedRoots`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tuf.api.metadata import Root, Targets

from limpet.crypto.suites import Suite
from limpet.errors import Rejected

from ._metadata import (
    MORE_SIGNERS,
    parse_metadata,
    verify_delegated,
    verify_families,
    verify_schemes,
)
from ._state import RepositoryState

__all__ = ["VerifiedRoots", "verify_resigned", "verify_roots"]


@dataclass(frozen=True, slots=True)
class VerifiedRoots:
    """The next versions of root and targets, which fit each other and what is published."""

    root_version: int
    targets_version: int


def verify_roots(
    root: bytes,
    targets: bytes,
    state: RepositoryState,
    *,
    now: datetime,
    suites: Sequence[Suite],
) -> VerifiedRoots:
    """Numbered as they run: 1. the next root is signed as the current one says, and as it says
    itself, by each family of the suites; 2. so is targets, as the next root says; 3. both are the
    next versions; 4. neither has expired; 5. every role that is published stays delegated;
    6. every key is of a scheme that devices accept: a root that they refuse could never be
    replaced; 7. neither expires before the version that it replaces. Raises `Rejected`.
    """
    # 1. and 2.
    next_root = parse_metadata(root, Root, what="the next root")
    next_targets = parse_metadata(targets, Targets, what="the next targets")
    for delegator in (state.root, next_root.signed):
        verify_delegated(delegator, "root", next_root, what="the next root", hint=MORE_SIGNERS)
        verify_families(delegator, "root", next_root, what="the next root", suites=suites)
    signer, what = next_root.signed, "the next targets"
    verify_delegated(signer, "targets", next_targets, what=what, hint=MORE_SIGNERS)
    verify_families(signer, "targets", next_targets, what=what, suites=suites)
    # 3.
    pairs = ((next_root.signed, state.root), (next_targets.signed, state.targets))
    for offered, current in pairs:
        if offered.version != current.version + 1:
            raise Rejected("wrong-version", f"{offered.type} is not version {current.version + 1}")
        # 4.
        if offered.expires <= now:
            raise Rejected("expired-metadata", f"the next {offered.type} has expired")
    # 5.
    delegations = next_targets.signed.delegations
    if delegations is None or not set(state.delegated) <= set(delegations.roles or {}):
        raise Rejected("bad-metadata", "the next targets drops a role that devices ask for")
    # 6.
    verify_schemes(next_root.signed, what="the next root", suites=suites)
    verify_schemes(next_targets.signed, what="the next targets", suites=suites)
    # 7.
    for offered, current in pairs:
        if offered.expires < current.expires:
            raise Rejected(
                "expired-metadata",
                f"the next {offered.type} would expire on {offered.expires:%Y-%m-%d}, the current "
                f"one does on {current.expires:%Y-%m-%d}",
                hint="is this computer's clock right?",
            )
    return VerifiedRoots(next_root.signed.version, next_targets.signed.version)


def verify_resigned(
    data: bytes, targets: bytes, state: RepositoryState, *, role: str, suites: Sequence[Suite]
) -> int:
    """The version of metadata of `role` that says what it said, under the keys of `targets`.

    Raises `Rejected` unless it is the next version, changes no target, and both the keys of before
    and those that `targets` names have signed it.
    """
    offered = parse_metadata(data, Targets, what=f"the next {role}")
    delegator = parse_metadata(targets, Targets, what="the next targets").signed
    current = state.role(role)
    for signer in (state.targets, delegator):
        verify_delegated(signer, role, offered, what=f"the next {role}")
    verify_families(delegator, role, offered, what=f"the next {role}", suites=suites)
    if offered.signed.version != current.version + 1 or offered.signed.targets != current.targets:
        raise Rejected("bad-metadata", f"the next {role} changes more than its signatures")
    return offered.signed.version
