"""Codes of 80 bits: the label's, an invitation's, a transfer's, and their verifiers.

Owns how a code is made and compared. A code leaves the process once, when it is made;
what is kept is a salted hash, since 80 random bits need no slow one.
"""

import hashlib
import hmac
from collections.abc import Sequence

from limpet.crypto.randomness import new_claim_code, normalise_code, random_bytes
from limpet.device.accounts.store import ClaimVerifier
from limpet.errors import Rejected

__all__ = ["make_code", "verify_any_code", "verify_code"]


def make_code() -> tuple[str, ClaimVerifier]:
    """A fresh code and its verifier."""
    code = new_claim_code()
    salt = random_bytes(16)
    return code, ClaimVerifier(salt=salt, digest=_digest(salt, code))


def verify_code(code: str, verifier: ClaimVerifier) -> None:
    """Return if `code` is the verifier's; else `Rejected("wrong-code")`, in equal time."""
    verify_any_code(code, (verifier,))


def verify_any_code(code: str, verifiers: Sequence[ClaimVerifier]) -> ClaimVerifier:
    """The verifier whose code this is. Raises `Rejected("wrong-code")`; none fits no code."""
    found = None
    for verifier in verifiers:
        if hmac.compare_digest(_digest(verifier.salt, code), verifier.digest):
            found = verifier
    if found is None:
        raise Rejected("wrong-code", "this is not the right code")
    return found


def _digest(salt: bytes, code: str) -> bytes:
    return hashlib.sha256(salt + normalise_code(code).encode()).digest()
