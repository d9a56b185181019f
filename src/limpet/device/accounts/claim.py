"""The claim: which change of ownership is possible in which state, and the code's verifier.

Owns the table of transitions and the check of the code. The code itself exists
in one place only, the label: it is made here, returned once, and kept as a
salted hash. While the device is claimed the hash stays but is never compared;
only a factory reset, asked for by the owner, makes it count again (the printed
label is then the next owner's way in).
"""

import enum
import hashlib
import hmac
from collections.abc import Mapping

from limpet.crypto.randomness import new_claim_code, normalise_code, random_bytes
from limpet.device.accounts.store import ClaimVerifier
from limpet.device.link.messages import ClaimState
from limpet.errors import Rejected

__all__ = ["TRANSITIONS", "Change", "make_code", "next_state", "verify_code"]


class Change(enum.Enum):
    """What may happen to the ownership of a device."""

    MINT = "mint"  # the factory asks for the code
    CLAIM = "claim"
    RESET = "reset"


TRANSITIONS: Mapping[tuple[ClaimState, Change], ClaimState] = {
    (ClaimState.FACTORY, Change.MINT): ClaimState.UNCLAIMED,
    (ClaimState.UNCLAIMED, Change.CLAIM): ClaimState.CLAIMED,
    (ClaimState.CLAIMED, Change.RESET): ClaimState.UNCLAIMED,
}
"""Every possible change; what is not here is refused."""

_REFUSALS: Mapping[ClaimState, str] = {
    ClaimState.FACTORY: "not-ready",
    ClaimState.UNCLAIMED: "unclaimed",
    ClaimState.CLAIMED: "already-claimed",
}


def next_state(state: ClaimState, change: Change) -> ClaimState:
    """The state after `change`, or `Rejected("not-ready" | "unclaimed" | "already-claimed")`."""
    after = TRANSITIONS.get((state, change))
    if after is None:
        raise Rejected(_REFUSALS[state], f"the device is {state.value}: it cannot {change.value}")
    return after


def make_code() -> tuple[str, ClaimVerifier]:
    """A fresh code for the label and its verifier."""
    code = new_claim_code()
    salt = random_bytes(16)
    return code, ClaimVerifier(salt=salt, digest=_digest(salt, code))


def verify_code(code: str, verifier: ClaimVerifier) -> None:
    """Return if `code` is the label's; else `Rejected("wrong-code")`, in equal time."""
    if not hmac.compare_digest(_digest(verifier.salt, code), verifier.digest):
        raise Rejected("wrong-code", "this is not the code on the label")


def _digest(salt: bytes, code: str) -> bytes:
    return hashlib.sha256(salt + normalise_code(code).encode()).digest()
