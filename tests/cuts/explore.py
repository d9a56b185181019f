"""Which states of a life to look at: every prefix, and what may be lost or reordered after it.

Owns the choice among the states that `Disk` says are possible, and its bounds. Where few
operations are unsynced every subset of them is taken; where there are many, the orderly ones
(a journal that was cut), each one alone lost, each one alone kept, and some at random.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.cuts.disk import ALL, Choice, Disk, Node
from tests.cuts.operations import Content, Entries, Mark, Meta, Recording, paths_of
from tests.cuts.promises import Moment, moments

__all__ = ["Exploration", "State"]

WHOLE_SUBSETS = 5  # up to so many loose operations all subsets are taken
NEWEST = 8  # of more operations, so many of the newest are lost or kept alone
AT_RANDOM = 6
NEWEST_FILES = 3
SHARE_WHOLE = 0.3
TOGETHER = 32  # operations in a row that one worker looks at: their states have much in common
UNIFORM = (ALL, "none", "zeros", "garbage", "torn", "last block")


@dataclass(frozen=True, slots=True)
class State:
    """A disk on which a device is started. `kind`: how what was unsynced was chosen."""

    root: Node
    moment: Moment
    kind: str
    key: bytes  # the same for the same disk and promises


@dataclass(slots=True)
class Exploration:
    """The distinct states of a recording; `prefixes` counts the moments that were looked at.

    `most` bounds the states of each phase (None: all); which ones is drawn by `seed`. Workers with
    different shares look at different moments, and seldom come upon the same state.
    """

    recording: Recording
    first: str  # the version from the factory
    most: int | None = None
    seed: int = 0
    share: tuple[int, int] = (0, 1)  # the states of which worker, of how many
    phases: frozenset[str] = frozenset()  # only these; none: all
    about: Callable[[str], bool] | None = None  # only after operations on such paths
    prefixes: int = 0

    def states(self) -> Iterator[State]:
        """Each distinct pair of disk and promises once, in the order of the life."""
        inodes = self._inodes()
        points = Counter(one.phase for one in self._points() if self._is_meant(one, inodes))
        disk, seen = Disk(self.recording), set()
        for moment in moments(self.recording, first=self.first):
            is_new = disk.apply(moment.operation)
            if not is_new and not isinstance(moment.operation, Mark):
                continue
            if not self._is_meant(moment, inodes):
                continue
            self.prefixes += 1
            if moment.number // TOGETHER % self.share[1] != self.share[0]:
                continue
            dice = random.Random(f"{self.seed} {moment.number}")  # noqa: S311 - to be repeated
            wanted = self._wanted(max(points[moment.phase], 1), dice)
            if wanted == 0:
                continue
            choices = list(_choices(disk, dice))
            if wanted is not None:  # often what was done until then, and others at random
                first = 1 if self.about is not None or dice.random() < SHARE_WHOLE else 0
                choices[first:] = dice.sample(choices[first:], len(choices) - first)
            for kind, kept, choice, default in choices:
                if wanted == 0:
                    break
                root = disk.state(kept, choice, default)
                key = hashlib.blake2b(
                    root.key + moment.promises.canonical(), digest_size=16
                ).digest()
                if key in seen:
                    continue
                seen.add(key)
                wanted = None if wanted is None else wanted - 1
                yield State(root, moment, kind, key)

    def _points(self) -> Iterator[Moment]:
        for moment in moments(self.recording, first=self.first):
            if isinstance(moment.operation, (Entries, Content, Meta, Mark)):
                yield moment

    def _inodes(self) -> frozenset[int]:
        about = self.about
        if about is None:
            return frozenset()
        paths = paths_of(self.recording)
        return frozenset(one for one, found in paths.items() if any(map(about, found)))

    def _is_meant(self, moment: Moment, inodes: frozenset[int]) -> bool:
        if self.phases and moment.phase not in self.phases:
            return False
        if self.about is None:
            return True
        match moment.operation:
            case Entries(changes):
                return any(d in inodes or child in inodes for d, _, child in changes)
            case Content(inode) | Meta(inode):
                return inode in inodes
        return isinstance(moment.operation, Mark)

    def _wanted(self, points: int, dice: random.Random) -> int | None:
        """How many states to take after one operation of a phase with so many."""
        if self.most is None:
            return None
        share = self.most / points
        return int(share) + (dice.random() < share % 1)


def _choices(disk: Disk, dice: random.Random) -> Iterator[tuple[str, frozenset[int], Choice, str]]:
    loose, torn = disk.loose(), disk.torn()
    whole = frozenset(loose)
    yield "nothing lost", whole, {}, ALL
    if not loose and not torn:
        return
    yield "all lost", frozenset(), {}, "none"
    for length in _lengths(len(loose)):
        for default in UNIFORM if torn else (ALL,):
            yield "in order", frozenset(loose[:length]), {}, default
    for inode in list(torn)[-NEWEST_FILES:]:
        for form in torn[inode]:
            for default in (ALL, "none"):
                yield "one file", whole, {inode: form}, default
    if len(loose) <= WHOLE_SUBSETS:
        for bits in range(1 << len(loose)):
            kept = frozenset(one for at, one in enumerate(loose) if bits >> at & 1)
            for default in (ALL, "none", "zeros") if torn else (ALL,):
                yield "reordered", kept, {}, default
        return
    for one in loose[-NEWEST:]:
        yield "reordered", whole - {one}, {}, ALL
        yield "reordered", frozenset({one}), {}, ALL
    for _ in range(AT_RANDOM):
        share = dice.random()
        kept = frozenset(one for one in loose if dice.random() < share)
        choice = {inode: dice.choice(forms) for inode, forms in torn.items()}
        yield "reordered", kept, choice, ALL


def _lengths(count: int) -> Sequence[int]:
    """Prefixes of a journal: all of a short one, the ends and some between of a long one."""
    if count <= NEWEST:
        return range(count + 1)
    middle = range(0, count - 3, max(count // 4, 1))
    return sorted({*middle, *range(count - 3, count + 1)})
