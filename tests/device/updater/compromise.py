"""What each key is worth: which roles must be stolen together for each harm.

One table, three readers: the tests steal every set of roles that it speaks of and try the harm
(test_compromise.py), and the page shows it (docs/update-attacks.md). A role whose keys are of two
families is stolen only with both.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from tests.device.updater.simulator import RELEASES, ROLLOUT
from tests.device.updater.thief import HALVES, ROLES

__all__ = ["HARMS", "PAIRS", "SINGLES", "Harm", "achieves"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """What a thief wants, and each smallest set of roles that is enough for it."""

    name: str
    title: str
    needs: tuple[frozenset[str], ...]


def _each(*sets: Iterable[str]) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(one) for one in sets)


HARMS = (
    Harm(
        name="install",
        title="install software that the release keys did not sign",
        needs=_each(
            {"root"},
            {"targets", "snapshot", "timestamp"},
            {RELEASES, ROLLOUT, "snapshot", "timestamp"},
        ),
    ),
    Harm(
        name="offer",
        title="install a signed release that the vendor does not offer, within its bounds",
        needs=_each(
            {"root"},
            {"targets", "snapshot", "timestamp"},
            {ROLLOUT, "snapshot", "timestamp"},
        ),
    ),
    Harm(
        name="freeze",
        title="keep a device from the newest state for two days without its notice",
        needs=_each({"root"}, {"timestamp"}),
    ),
)
"""In the order of harm. Nobody needs a key to make a device wait: that takes the network."""


def achieves(stolen: frozenset[str], harm: Harm) -> bool:
    """Whether the thief of these roles can do the harm."""
    return any(need <= stolen for need in harm.needs)


SINGLES = tuple(frozenset({role}) for role in (*ROLES, *HALVES))
PAIRS = tuple(frozenset(pair) for pair in combinations(ROLES, 2))
