"""One-time codes by time (TOTP, RFC 6238; HOTP, RFC 4226) and recovery codes: pure.

Owns which code counts. A code counts once: only steps after the last accepted one do
(RFC 6238, 5.2), and who calls makes that step durable before it acts on the code. Needs
a clock that is right within half a minute; where it is certainly wrong, a recovery code
is the way in.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import msgspec

from limpet.crypto.randomness import new_claim_code, normalise_code, random_bytes
from limpet.device.accounts.store import SecondFactor
from limpet.errors import Rejected

__all__ = [
    "DIGITS",
    "RECOVERY_CODES",
    "STEP_SECONDS",
    "UsedFactor",
    "make_recovery_codes",
    "new_secret",
    "one_time_code",
    "secret_text",
    "secret_uri",
    "verify_code_of",
    "verify_second",
]

STEP_SECONDS = 30
DIGITS = 6
DRIFT_STEPS = 1
"""Steps before and after the device's own that are taken (RFC 6238, 5.2: at most one for delay)."""

RECOVERY_CODES = 8
_SECRET_BYTES = 20  # RFC 4226, 4: 160 bits recommended


@dataclass(frozen=True, slots=True)
class UsedFactor:
    """A code that was right: the step of a one-time code, or a recovery code's digest.

    Only `verify_second` makes one.
    """

    secret: bytes
    step: int | None = None
    recovery: bytes | None = None

    def spend(self, now: SecondFactor) -> SecondFactor:
        """`now` with the code used up.

        Raises `Rejected("wrong-second-factor")` if it was used, or the secret replaced, since
        it was checked.
        """
        if now.secret == self.secret:
            if self.step is not None and self.step > now.last_step:
                return msgspec.structs.replace(now, last_step=self.step)
            if self.recovery is not None and self.recovery in now.recovery:
                left = tuple(one for one in now.recovery if one != self.recovery)
                return msgspec.structs.replace(now, recovery=left)
        raise _wrong()


def new_secret() -> bytes:
    """160 random bits."""
    return random_bytes(_SECRET_BYTES)


def secret_text(secret: bytes) -> str:
    """Base32 in groups of four, as people type it into an authenticator."""
    text = base64.b32encode(secret).decode()
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def secret_uri(secret: bytes, *, device: str, name: str) -> str:
    """The `otpauth` URI that authenticator apps read (Google's key URI format)."""
    label = quote(f"{device}:{name}")
    values = {"secret": base64.b32encode(secret).decode(), "issuer": device}
    return f"otpauth://totp/{label}?{urlencode(values, quote_via=quote)}"


def one_time_code(secret: bytes, step: int, *, digits: int = DIGITS, digest: str = "sha1") -> str:
    """The code of one step (RFC 4226, 5.3). SHA-1 is what every authenticator app can do."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), digest)
    offset = mac[-1] & 15
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def verify_code_of(secret: bytes, code: str, *, last_step: int, wall: float) -> int:
    """The step whose code this is, later than `last_step`. Raises `Rejected`."""
    digits = "".join(code.split())
    now = int(wall // STEP_SECONDS)
    found = None
    for step in range(max(0, now - DRIFT_STEPS), now + DRIFT_STEPS + 1):
        wanted = one_time_code(secret, step).encode()
        if hmac.compare_digest(wanted, digits.encode("utf-8", "replace")) and step > last_step:
            found = step
    if found is None:
        raise _wrong()
    return found


def verify_second(factor: SecondFactor, second: str, *, wall: float, built_at: float) -> UsedFactor:
    """The code, which `UsedFactor.spend` then uses up.

    Raises `Rejected("second-factor-needed" | "wrong-second-factor" | "clock-wrong")`. A clock
    before `built_at` (when the firmware was built) is certainly wrong.
    """
    if not second.strip():
        raise Rejected("second-factor-needed", "give a one-time code, or a recovery code")
    plain = "".join(second.split())
    if not (plain.isascii() and plain.isdigit() and len(plain) == DIGITS):
        return _use_recovery(factor, second)
    if wall < built_at:
        raise Rejected(
            "clock-wrong", "the device does not know the time: use a recovery code instead"
        )
    step = verify_code_of(factor.secret, plain, last_step=factor.last_step, wall=wall)
    return UsedFactor(factor.secret, step=step)


def make_recovery_codes() -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    """Fresh codes of 80 bits, and what is kept of them."""
    codes = tuple(new_claim_code() for _ in range(RECOVERY_CODES))
    return codes, tuple(_digest(code) for code in codes)


def _use_recovery(factor: SecondFactor, second: str) -> UsedFactor:
    try:
        digest = _digest(second)
    except Rejected as error:
        raise _wrong() from error
    if not any(hmac.compare_digest(one, digest) for one in factor.recovery):
        raise _wrong()
    return UsedFactor(factor.secret, recovery=digest)


def _digest(code: str) -> bytes:
    return hashlib.sha256(b"recovery\0" + normalise_code(code).encode()).digest()


def _wrong() -> Rejected:
    return Rejected("wrong-second-factor", "this one-time code is not right, or was used already")
