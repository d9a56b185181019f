"""Password verifiers: Argon2id (RFC 9106) as PHC strings, with named parameter sets.

Owns the hash and its parameters. Decides no policy: which passwords are good
enough, and how often one may be tried, is for who calls. A call takes tens of
milliseconds and the profile's memory, so it belongs in a worker.
"""

import unicodedata
from base64 import b64encode
from dataclasses import dataclass

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from limpet.crypto.randomness import random_bytes
from limpet.crypto.suites import CURRENT
from limpet.errors import Rejected

__all__ = [
    "DEVICE",
    "PasswordProfile",
    "hash_password",
    "is_current",
    "make_decoy",
    "verify_password",
]

_SALT_BYTES = 16  # RFC 9106, 3.1: 128 bits
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordProfile:
    """Argon2id's costs: memory in KiB, passes, lanes."""

    memory_kib: int
    passes: int
    lanes: int


DEVICE = PasswordProfile(
    memory_kib=CURRENT.passwords.memory_kib,
    passes=CURRENT.passwords.passes,
    lanes=CURRENT.passwords.lanes,
)
"""The profile that the suite in force names."""


def hash_password(password: str, *, profile: PasswordProfile = DEVICE) -> str:
    """A PHC string with a fresh salt. The text is taken as NFKC (NIST SP 800-63B-4, 3.1.1.2)."""
    hasher = Argon2id(
        salt=random_bytes(_SALT_BYTES),
        length=_HASH_BYTES,
        iterations=profile.passes,
        lanes=profile.lanes,
        memory_cost=profile.memory_kib,
    )
    return hasher.derive_phc_encoded(_normal(password))


def make_decoy(*, profile: PasswordProfile = DEVICE) -> str:
    """A PHC string that no password is behind, for a name that nobody has: to check one against it
    costs as much as against a real one, and to make it costs nothing."""
    salt, hashed = (
        b64encode(random_bytes(size)).decode().rstrip("=") for size in (_SALT_BYTES, _HASH_BYTES)
    )
    return f"{_costs(profile)}{salt}${hashed}"


def verify_password(password: str, phc: str) -> None:
    """Return if `password` is the one behind `phc`; else raise `Rejected("wrong-password")`.

    A damaged `phc` is behind no password.
    """
    try:
        Argon2id.verify_phc_encoded(_normal(password), phc)
    except (InvalidKey, ValueError) as error:
        raise Rejected("wrong-password", "the password is not right") from error


def is_current(phc: str, *, profile: PasswordProfile = DEVICE) -> bool:
    """Whether `phc` was made with `profile`; if not, hash anew at the next right password."""
    return phc.startswith(_costs(profile))


def _costs(profile: PasswordProfile) -> str:
    """How a PHC string of `profile` begins."""
    return f"$argon2id$v=19$m={profile.memory_kib},t={profile.passes},p={profile.lanes}$"


def _normal(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
