"""Random numbers of cryptographic quality: the kernel's generator, and only once it is ready.

Owns every secret that limpet draws, and what is mixed into the kernel's pool. Uses
`getrandom(2)` without flags, which
blocks until the kernel's generator is seeded (draft-moore, 3.1; RFC 4086).
"""

import base64
import contextlib
import fcntl
import os
import time
from pathlib import Path

from limpet.errors import Rejected, Unavailable

__all__ = [
    "CLAIM_CODE_BITS",
    "POOL",
    "mix_in",
    "new_claim_code",
    "new_token",
    "normalise_code",
    "random_bytes",
    "wait_until_ready",
]

CLAIM_CODE_BITS = 80
READY_WAIT_SECONDS = 60.0
POOL = Path("/dev/urandom")
"""What is written to it is mixed into the pool and credited with nothing (random(4))."""

_RESEED = 0x5207  # RNDRESEEDCRNG of linux/random.h

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U to misread
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})
_CODE_LENGTH = CLAIM_CODE_BITS // 5


def wait_until_ready(*, timeout: float = READY_WAIT_SECONDS) -> None:
    """Return once the kernel's generator is seeded; `Unavailable` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            os.getrandom(1, os.GRND_NONBLOCK)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Unavailable(
                    "the kernel's random generator is not ready",
                    hint="a device without a hardware generator needs a saved seed",
                ) from None
            time.sleep(0.1)
        else:
            return


def mix_in(data: bytes, *, pool: Path = POOL) -> None:
    """Mix `data` into the kernel's pool, and have the generator seeded anew from it at once.

    The kernel counts it as no entropy, so that nothing that was recorded, copied or forged can
    make the pool worse or ready too early. Without the right to ask (CAP_SYS_ADMIN) the
    generator takes it in at its next reseeding, within a minute. Raises `Unavailable`.
    """
    try:
        descriptor = os.open(pool, os.O_WRONLY | os.O_CLOEXEC)
        try:
            while data:
                data = data[os.write(descriptor, data) :]
            with contextlib.suppress(OSError):
                fcntl.ioctl(descriptor, _RESEED)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Unavailable(f"cannot mix into {pool}: {(error.strerror or '').lower()}") from error


def random_bytes(count: int) -> bytes:
    """`count` bytes from the kernel; blocks until its generator is seeded."""
    data = b""
    while len(data) < count:  # a signal may shorten a large read
        data += os.getrandom(count - len(data))
    return data


def new_claim_code() -> str:
    """A fresh code of 80 bits as `XXXX-XXXX-XXXX-XXXX`, easy to read off a label."""
    value = int.from_bytes(random_bytes(CLAIM_CODE_BITS // 8), "big")
    letters = [_ALPHABET[value >> (5 * place) & 31] for place in reversed(range(_CODE_LENGTH))]
    return "-".join("".join(letters[i : i + 4]) for i in range(0, _CODE_LENGTH, 4))


def normalise_code(text: str) -> str:
    """The code without hyphens, spaces and misread letters. Raises `Rejected("malformed-code")`."""
    code = text.upper().translate(_MISREAD).replace("-", "").replace(" ", "")
    if len(code) != _CODE_LENGTH or any(letter not in _ALPHABET for letter in code):
        raise Rejected(
            "malformed-code",
            "a claim code has 16 letters and digits, as XXXX-XXXX-XXXX-XXXX",
            hint="read it off the label, or scan the QR code",
        )
    return code


def new_token() -> str:
    """256 random bits as base64url, 43 characters."""
    return base64.urlsafe_b64encode(random_bytes(32)).rstrip(b"=").decode()
