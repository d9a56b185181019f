"""Which names and passwords an account may have (NIST SP 800-63B-4, 3.1.1).

Owns the policy for new passwords. Asks for length, not for kinds of characters,
and refuses what a guesser tries first. Hashes nothing.
"""

import itertools
import unicodedata
from collections.abc import Iterable

from limpet.errors import Rejected

__all__ = ["LONGEST_PASSWORD", "SHORTEST_PASSWORD", "verify_account_name", "verify_new_password"]

SHORTEST_PASSWORD = 15
"""SP 800-63B-4, 3.1.1.2: fifteen characters where the password is the only factor."""

LONGEST_PASSWORD = 128

_FEWEST_DIFFERENT = 5
_LEAST_BESIDES = 8  # characters that must remain beside a word that belongs to the device
_SHORTEST_WORD = 4

# Long passwords that guessers try first; the short ones of public lists fail by length.
_COMMON = frozenset(
    {
        "passwordpassword", "password1234567", "passwort1234567", "123456789012345",
        "1234567890123456", "12345678901234567890", "qwertyuiopasdfgh", "qwertyuiopasdfghjkl",
        "qwertzuiopasdfgh", "administrator123", "administratoradministrator",
        "letmeinletmeinletmein",
        "iloveyouiloveyou", "thisismypassword", "changemechangeme", "changeme12345678",
        "defaultpassword", "correcthorsebatterystaple", "1q2w3e4r5t6y7u8i", "abcdefghijklmnop",
        "passwordpassword1", "trustno1trustno1", "welcome123456789", "1234567812345678",
    }
)  # fmt: skip


def verify_account_name(name: str) -> str:
    """The name in its one form (NFKC, no space around), or `Rejected("bad-name")`."""
    plain = unicodedata.normalize("NFKC", name).strip()
    if not plain or len(plain) > 64 or not plain.isprintable():
        raise Rejected("bad-name", "a name has 1 to 64 printable characters")
    return plain


def verify_new_password(password: str, *, words: Iterable[str] = ()) -> None:
    """Return if `password` may be chosen, else raise `Rejected("weak-password")`.

    `words` are what a guesser knows of this device: its product, maker, owner and serial.
    """
    plain = unicodedata.normalize("NFKC", password)
    if len(plain) < SHORTEST_PASSWORD:
        raise _weak(f"a password has at least {SHORTEST_PASSWORD} characters; use a few words")
    if len(plain) > LONGEST_PASSWORD:
        raise _weak(f"a password has at most {LONGEST_PASSWORD} characters")
    folded = "".join(character for character in plain.casefold() if not character.isspace())
    if folded in _COMMON or folded.replace("-", "") in _COMMON:
        raise _weak("this password is among the first that are guessed")
    if len(set(folded)) < _FEWEST_DIFFERENT or _is_run(folded):
        raise _weak("this password repeats itself")
    for word in words:
        known = "".join(word.casefold().split())
        besides = folded.replace(known, "") if len(known) >= _SHORTEST_WORD else folded
        if besides != folded and len(besides) < _LEAST_BESIDES:
            raise _weak("this password is made of the device's or the owner's name")


def _is_run(text: str) -> bool:
    """Every character follows the one before by the same step: 1234…, edcba…."""
    steps = {ord(after) - ord(before) for before, after in itertools.pairwise(text)}
    return len(steps) <= 1


def _weak(message: str) -> Rejected:
    return Rejected("weak-password", message)
