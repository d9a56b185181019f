"""Which names and passwords an account may have (NIST SP 800-63B-4, 3.1.1).

Owns the policy for new passwords. Asks for length, not for kinds of characters, and
refuses what a guesser tries first (`blocklist`). Never asks to change one that is not known
to be lost. Hashes nothing.
"""

import itertools
import unicodedata
from collections.abc import Iterable

from limpet.device.accounts.blocklist import fold, is_expected
from limpet.errors import Rejected

__all__ = ["LONGEST_PASSWORD", "SHORTEST_PASSWORD", "verify_account_name", "verify_new_password"]

SHORTEST_PASSWORD = 15
"""SP 800-63B-4, 3.1.1.2: fifteen characters where the password is the only factor. It is that
for a known client even where a second factor is set, so there is no shorter one."""

LONGEST_PASSWORD = 128

_FEWEST_DIFFERENT = 5
_LEAST_BESIDES = 8  # characters that must remain beside a word that belongs to the device
_SHORTEST_WORD = 4


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
    folded = fold(plain)
    known = tuple(words)
    if len(set(folded)) < _FEWEST_DIFFERENT or _is_run(folded):
        raise _weak("this password repeats itself")
    for word in known:
        besides = folded.replace(fold(word), "") if len(fold(word)) >= _SHORTEST_WORD else folded
        if besides != folded and len(besides) < _LEAST_BESIDES:
            raise _weak("this password is made of the device's or the owner's name")
    if is_expected(plain, words=known):
        raise _weak("this password is among the first that are guessed; use unrelated words")


def _is_run(text: str) -> bool:
    """Every character follows the one before by the same step: 1234…, edcba…."""
    steps = {ord(after) - ord(before) for before, after in itertools.pairwise(text)}
    return len(steps) <= 1


def _weak(message: str) -> Rejected:
    return Rejected("weak-password", message)
