"""Breaking text into lines: runs of several fonts, words that are kept whole where they fit.

Pure. fpdf2 breaks lines too, one letter at a time; a paper of twenty pages took seconds.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Piece", "break_lines"]

_HANGING = ".,;:)"

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Piece(Generic[K]):
    """Words of one run on one line, beginning at `x` from the line's left end."""

    kind: K
    words: str
    x: float
    width: float


def break_lines(
    runs: Sequence[tuple[K, str]], measure: Callable[[K, str], float], width: float
) -> list[list[Piece[K]]]:
    """The lines of `runs`, none wider than `width`: broken at blanks, within a word only where
    it is wider than a line. Always at least one line."""
    lines: list[list[Piece[K]]] = [[]]
    x = 0.0
    for kind, word in _words(runs, measure, width):
        length = measure(kind, word)
        if word == " ":
            if x > 0 and x + length <= width:
                x = _append(lines[-1], kind, word, x, length)
            continue
        hangs = word[0] in _HANGING and len(word) == 1  # into the margin, rather than alone
        if x + length > width + 1e-6 and x > 0 and not hangs:
            lines.append([])
            x = 0.0
        x = _append(lines[-1], kind, word, x, length)
    return lines


def _append(line: list[Piece[K]], kind: K, words: str, x: float, length: float) -> float:
    if line and line[-1].kind is kind:
        last = line.pop()
        words, start = last.words + words, last.x
        line.append(Piece(kind, words, start, last.width + length))
    else:
        line.append(Piece(kind, words, x, length))
    return x + length


def _words(
    runs: Sequence[tuple[K, str]], measure: Callable[[K, str], float], width: float
) -> Iterator[tuple[K, str]]:
    """Words and single blanks between them; a word that no line holds, in parts that one does."""
    for kind, text in runs:
        for number, word in enumerate(text.split(" ")):
            if number:
                yield kind, " "
            yield from ((kind, part) for part in _parts(kind, word, measure, width) if part)


def _parts(kind: K, word: str, measure: Callable[[K, str], float], width: float) -> Iterator[str]:
    if measure(kind, word) <= width:
        yield word
        return
    part = ""
    for letter in word:
        if part and measure(kind, part + letter) > width:
            yield part
            part = ""
        part += letter
    yield part
