"""Which whole passwords a guesser tries first (NIST SP 800-63B-4, 3.1.1.2): pure.

Owns the blocklist. Lists of leaked passwords hold few of 15 characters, since few people
choose such; what guessers try at this length is put together from the short ones. So
the blocklist is the known long ones, and everything that is made of at most
`FEWEST_WORDS` common words (or words of the device), with digits, signs, runs of the
alphabet or of the keyboard, and repeats in between. It is compared with the password as a
whole: a common word within a good password does no harm.
"""

import unicodedata
from collections.abc import Iterable

from limpet.device.accounts.common_passwords import COMMON, LONG

__all__ = ["FEWEST_WORDS", "fold", "is_expected"]

FEWEST_WORDS = 3
"""Two or three of a thousand words are 20 to 30 bits: gone within an offline second."""

_SHORTEST_RUN = 3
_LONGEST_UNIT = 7  # of what is repeated to make a password long
_SHORTEST_WORD = 4

_RUNS = ("abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl",
         "qsdfghjklm", "zxcvbnm", "yxcvbnm", "wxcvbn", "qazwsxedcrfvtgbyhnujmikolp")  # fmt: skip

_LETTERS = str.maketrans({"0": "o", "1": "l", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a",
                          "$": "s", "!": "i"})  # fmt: skip
"""Digits and signs that are written for letters."""

_HAND_PICKED = frozenset(
    {
        "administratoradministrator", "changemechangeme", "correcthorsebatterystaple",
        "defaultpassword", "letmeinletmeinletmein", "thisismypassword", "thisisapassword",
        "thequickbrownfox", "tobeornottobethatisthequestion", "maytheforcebewithyou",
        "opensesameopensesame", "ichliebedichsosehr", "iloveyousomuch12", "dontforgetthis1",
    }
)  # fmt: skip


def is_expected(password: str, *, words: Iterable[str] = ()) -> bool:
    """Whether `password` is one that is guessed first; `words` are what belongs to the device."""
    folded = fold(password)
    common = frozenset(COMMON.split()) | {
        plain for word in words if len(plain := fold(word)) >= _SHORTEST_WORD
    }
    if folded in _HAND_PICKED or folded in LONG.split() or _is_repeat(folded):
        return True
    return any(
        _fewest_words(text, common) <= FEWEST_WORDS for text in {folded, folded.translate(_LETTERS)}
    )


def fold(text: str) -> str:
    """`text` without case, spaces, hyphens and underscores, in NFKC."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(one for one in plain if not one.isspace() and one not in "-_")


def _is_repeat(text: str) -> bool:
    """A short unit again and again, the last one perhaps cut short."""
    return any(
        text == (text[:size] * (len(text) // size + 1))[: len(text)]
        for size in range(1, min(_LONGEST_UNIT, len(text) // 2) + 1)
    )


def _fewest_words(text: str, common: frozenset[str]) -> float:
    """The fewest words that make up `text` with fillers between; infinite if they cannot."""
    longest = max(map(len, common), default=0)
    fewest = [0.0] + [float("inf")] * len(text)
    for at in range(len(text)):
        if fewest[at] > FEWEST_WORDS:
            continue
        for end in _filler_ends(text, at):
            fewest[end] = min(fewest[end], fewest[at])
        for end in range(at + _SHORTEST_WORD, min(len(text), at + longest) + 1):
            if text[at:end] in common:
                fewest[end] = min(fewest[end], fewest[at] + 1)
    return fewest[-1]


def _filler_ends(text: str, at: int) -> Iterable[int]:
    """Where a filler that begins at `at` may end: a digit, a sign, a run or the same again."""
    if not text[at].isalpha():
        yield at + 1
    end = at + 1
    while end < len(text) and text[end] == text[at]:
        end += 1
    if end - at >= _SHORTEST_RUN:
        yield end
    for run in _RUNS:
        for row in (run, run[::-1]):
            begin = row.find(text[at])
            end = at
            while begin >= 0 and end < len(text) and row[begin + end - at :][:1] == text[end]:
                end += 1
            if end - at >= _SHORTEST_RUN:
                yield end
