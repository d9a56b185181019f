"""Products that the gate refuses, each spoiled in one way.

Owns the form of a specimen, and the table that they put themselves into.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.release.gate.bench import Bench

__all__ = ["SPECIMENS", "Specimen", "specimen"]


@dataclass(frozen=True, slots=True)
class Specimen:
    """A sound product is spoiled by `spoil`; `rule` blocks it and says `words`."""

    name: str
    rule: str
    words: str
    spoil: Callable[[Bench], None]


SPECIMENS: list[Specimen] = []


def specimen(rule: str, words: str) -> Callable[[Callable[[Bench], None]], None]:
    """Put the function into the table, under its own name."""

    def add(spoil: Callable[[Bench], None]) -> None:
        name = spoil.__name__.strip("_").replace("_", "-")
        SPECIMENS.append(Specimen(name, rule, words, spoil))

    return add
