"""What a signer is shown before they sign, and whose signatures are wanted.

Owns the type that only a review makes: `sign_request` signs nothing that was not reviewed. The
words are made from what is signed, never from what a request says of itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Targets

from limpet.crypto.suites import Suite
from limpet.errors import Rejected
from limpet.firmware.signatures import families_of, missing_signatures

__all__ = ["Review", "Rule", "Standing", "stand", "verify_signatures"]

Proposed = dict[str, "Metadata[Root] | Metadata[Targets]"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Whose signatures a role needs: those of the keys that `delegator` names for it."""

    role: str
    delegator: Root | Targets
    by: str  # in words: "root 3"
    is_needed: bool = True  # else devices only pass a gap less with it


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a role is from valid, by one rule."""

    role: str
    by: str
    signatures: int
    threshold: int
    missing: tuple[str, ...]  # families that have too few
    is_needed: bool
    keys: tuple[str, ...]  # ids of the keys that have signed

    @property
    def is_met(self) -> bool:
        """Whether it is valid by this rule."""
        return self.signatures >= self.threshold and not self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A request that holds what it may hold, in words, and what would be signed."""

    title: str
    lines: tuple[tuple[str, str], ...]  # a label, and what is to be known
    warnings: tuple[str, ...]
    proposed: Proposed
    rules: tuple[Rule, ...]

    def roles_of(self, keyid: str) -> tuple[str, ...]:
        """The roles that this key may sign for, by the roots and targets of before and after."""
        found = [
            rule.role
            for rule in self.rules
            if keyid in rule.delegator.get_delegated_role(rule.role).keyids
        ]
        return tuple(dict.fromkeys(found))


def stand(review: Review, suite: Suite) -> tuple[Standing, ...]:
    """How far each role is, by each rule."""
    found = []
    for rule in review.rules:
        metadata = review.proposed[rule.role]
        delegator, role = rule.delegator, rule.role
        result = delegator.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
        families = families_of(role, suite)
        missing = missing_signatures(delegator, role, metadata, families=families)  # type: ignore[misc]
        found.append(
            Standing(
                role=role,
                by=rule.by,
                signatures=len(result.signed),
                threshold=result.threshold,
                missing=tuple(missing),
                is_needed=rule.is_needed,
                keys=tuple(sorted(result.signed)),
            )
        )
    return tuple(found)


def verify_signatures(proposed: Proposed, rules: Sequence[Rule]) -> None:
    """Raise `Rejected("bad-signature")` for a signature that does not fit what it stands under, or
    by a key that no rule names: the request was changed after somebody signed it."""
    for role, metadata in proposed.items():
        known: dict[str, Key] = {}
        for rule in rules:
            if rule.role == role:
                named = rule.delegator.get_delegated_role(role).keyids
                known |= {keyid: rule.delegator.get_key(keyid) for keyid in named}
        for keyid in metadata.signatures:
            if keyid not in known:
                raise Rejected(
                    "bad-signature", f"{role} bears a signature of a key that may not sign it"
                )
            try:
                known[keyid].verify_signature(metadata.signatures[keyid], metadata.signed_bytes)
            except Exception as error:
                raise Rejected(
                    "bad-signature",
                    f"{role} was changed after key {keyid[:16]} had signed it",
                    hint="ask for the file again, from whoever made the request",
                ) from error
