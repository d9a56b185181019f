"""Whether TUF metadata is signed as the suite asks: a signature of each family of schemes.

Owns what limpet adds to a TUF threshold, which counts keys and not algorithms: two
Ed25519 signatures meet a threshold of two although no ML-DSA key has signed. Pure; the
device, the repository and the release manager's tools ask the same question here
(docs/adr/0088).
"""

from typing import TypeVar

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from limpet.crypto.policy import missing_families, verify_firmware_schemes
from limpet.crypto.suites import Families, Suite
from limpet.errors import Rejected

__all__ = [
    "families_of",
    "missing_signatures",
    "verify_all_keys",
    "verify_role_keys",
    "verify_role_signatures",
    "verify_signer_keys",
]

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)

_ONLINE = ("timestamp", "snapshot", "rollout")


def families_of(role: str, suite: Suite) -> Families:
    """The families that must sign metadata of `role`, or of a role that signs a path so named.

    The online ones for timestamp, snapshot and what begins with `rollout/`; the offline ones
    for everything else, so that a name that nobody foresaw gets the stricter rule.
    """
    rules = suite.firmware
    return rules.online if role.partition("/")[0] in _ONLINE else rules.offline


def verify_role_keys(delegator: Root | Targets, role: str, *, what: str, suite: Suite) -> None:
    """Raise `Rejected("weak-key")` unless every key of `role` is of a scheme that may sign for it.

    Raises `ValueError` if `delegator` does not delegate `role`, or names a key that it lacks.
    """
    _verify_keys(delegator, role, what=what, families=families_of(role, suite), suite=suite)


def verify_signer_keys(delegator: Targets, role: str, *, path: str, suite: Suite) -> None:
    """As `verify_role_keys`, for a role that signs `path`, whatever it calls itself."""
    _verify_keys(delegator, role, what=role, families=families_of(path, suite), suite=suite)


def verify_all_keys(delegator: Root | Targets, *, what: str, suite: Suite) -> None:
    """`verify_role_keys` for every role that `delegator` delegates."""
    if isinstance(delegator, Root):
        roles = set(delegator.roles)
    else:
        delegations = delegator.delegations
        roles = set(delegations.roles or {}) if delegations is not None else set()
    for role in sorted(roles):
        verify_role_keys(delegator, role, what=what, suite=suite)


def _verify_keys(
    delegator: Root | Targets, role: str, *, what: str, families: Families, suite: Suite
) -> None:
    keys = (delegator.get_key(keyid) for keyid in delegator.get_delegated_role(role).keyids)
    schemes = (key.scheme for key in keys)
    verify_firmware_schemes(schemes, what=what, families=families, suite=suite)


def missing_signatures(
    delegator: Root | Targets, role: str, metadata: Metadata[S], *, families: Families
) -> list[str]:
    """The families of which too few keys of `role` have validly signed `metadata`.

    A key that is named under two ids counts once. Raises `ValueError` as `verify_role_keys`.
    """
    result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    distinct = {(key.scheme, str(key.keyval)) for key in result.signed.values()}
    named = {key.scheme for keys in (result.signed, result.unsigned) for key in keys.values()}
    return missing_families(
        (scheme for scheme, _ in distinct),
        named=named,
        families=families,
        threshold=result.threshold,
    )


def verify_role_signatures(
    delegator: Root | Targets,
    role: str,
    metadata: Metadata[S],
    *,
    what: str,
    families: Families,
    hint: str = "",
) -> None:
    """Raise `Rejected("bad-signature")`, with `hint`, unless enough keys of each family signed
    `metadata`.

    The caller owes TUF's own threshold. Raises `ValueError` as `verify_role_keys`.
    """
    missing = missing_signatures(delegator, role, metadata, families=families)
    if missing:
        raise Rejected(
            "bad-signature",
            f"{what} lacks valid signatures by keys of {' and of '.join(missing)}",
            hint=hint,
        )
