"""Whether a version is one of those that an advisory names: OSV's ranges and lists. Pure.

Owns the evaluation of OSV schema 1.7, "Evaluation": a version is affected if it is in the list or
in any range. Before a range is evaluated it must be whole: a broken one gives `BROKEN`, never
`UNAFFECTED`. Events may stand in any order, as OSV allows; sorted they must alternate, because
else what lies between is not said.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from limpet.errors import Rejected

from ._osv import Affected, Event, Range
from ._versions import SEMVER, Ordered, Parse

__all__ = ["Decided", "Verdict", "decide_affected", "describe"]

_MAX_SHOWN = 300  # characters of a description
_ZERO = "0"  # sorts before any version (OSV, "Special values")


class Verdict(Enum):
    """What an advisory says of a version."""

    AFFECTED = "affected"
    UNAFFECTED = "unaffected"
    BROKEN = "broken"
    GIT_ONLY = "git-only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The verdict; `fixed` are the later versions that end the range, `why` what is broken."""

    verdict: Verdict
    fixed: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Point:
    """An event whose version was understood; `at` is None for the beginning of all."""

    at: Ordered | None
    event: Event

    def reached_by(self, version: Ordered) -> bool:
        """Whether `version` is at this event or later."""
        return self.at is None or not version < self.at

    def passed_by(self, version: Ordered) -> bool:
        """Whether `version` is later than this event."""
        return self.at is None or self.at < version


def decide_affected(
    affected: Sequence[Affected], version: str, parse: Parse, parse_semver: Callable[[], Parse]
) -> Decided:
    """What the entries of one advisory for one package say of `version`.

    `parse` is of the package's ecosystem and must take `version`. One entry that is certain to
    concern it decides; else a broken one does.
    """
    decided = [_decide_entry(one, version, parse, parse_semver) for one in affected]
    for verdict in (Verdict.AFFECTED, Verdict.BROKEN, Verdict.GIT_ONLY):
        chosen = [one for one in decided if one.verdict is verdict]
        if chosen:
            fixed = tuple(dict.fromkeys(text for one in chosen for text in one.fixed))
            return Decided(verdict=verdict, fixed=fixed, why=chosen[0].why)
    return Decided(verdict=Verdict.UNAFFECTED)


def describe(affected: Sequence[Affected]) -> str:
    """The ranges for a person: ">= 2, < 2.4.1 or >= 3"."""
    parts = []
    for one in affected:
        for span in one.ranges:
            if span.type != "GIT":
                parts.append(", ".join(_tell(event) for event in span.events))
        if not one.ranges and one.versions:
            parts.append(", ".join(one.versions))
    text = " or ".join(part for part in parts if part)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def _tell(event: Event) -> str:
    signs = (
        (">=", event.introduced),
        ("<", event.fixed),
        ("<=", event.last_affected),
        ("<", event.limit),
    )
    return ", ".join(f"{sign} {text}" for sign, text in signs if text)


def _decide_entry(
    affected: Affected, version: str, parse: Parse, parse_semver: Callable[[], Parse]
) -> Decided:
    usable = [one for one in affected.ranges if one.type != "GIT"]
    decided = []
    for span in usable:
        try:
            decided.append(_decide_range(span, version, parse, parse_semver))
        except Rejected as error:
            decided.append(Decided(verdict=Verdict.BROKEN, why=error.message))
    inside = [one for one in decided if one.verdict is Verdict.AFFECTED]
    if inside or _is_listed(affected.versions, version, parse):
        fixed = tuple(text for one in inside for text in one.fixed)
        return Decided(verdict=Verdict.AFFECTED, fixed=fixed)
    broken = next((one for one in decided if one.verdict is Verdict.BROKEN), None)
    if broken:
        return broken
    if not usable and not affected.versions:
        if affected.ranges:
            return Decided(verdict=Verdict.GIT_ONLY, why="it names commits, no versions")
        return Decided(verdict=Verdict.BROKEN, why="it names no versions")
    return Decided(verdict=Verdict.UNAFFECTED)


def _is_listed(listed: Sequence[str], version: str, parse: Parse) -> bool:
    """Whether it is in the list, as the ecosystem compares: 1.0 is 1.0.0 in Python.

    An entry of the list that is no version of the ecosystem equals none that is.
    """
    if version in listed:
        return True
    sought = parse(version)
    for text in listed:
        try:
            one = parse(text)
        except Rejected:
            continue
        if not one < sought and not sought < one:
            return True
    return False


def _decide_range(
    span: Range, version: str, parse: Parse, parse_semver: Callable[[], Parse]
) -> Decided:
    if span.type == SEMVER:
        parse = parse_semver()
    elif span.type != "ECOSYSTEM":
        raise Rejected("broken", f"a range of type {span.type[:40]!r}")
    sought = parse(version)
    if not _is_below_limits(span, sought, parse):
        return Decided(verdict=Verdict.UNAFFECTED)
    points = _sort_points(span, parse)
    vulnerable = False
    for point in points:
        event = point.event
        if event.last_affected is not None:
            vulnerable = vulnerable and not point.passed_by(sought)
        elif point.reached_by(sought):
            vulnerable = event.introduced is not None
    if not vulnerable:
        return Decided(verdict=Verdict.UNAFFECTED)
    later = (one for one in points if one.event.fixed and not one.reached_by(sought))
    fixed = tuple(one.event.fixed or "" for one in later)
    return Decided(verdict=Verdict.AFFECTED, fixed=fixed)


def _is_below_limits(span: Range, sought: Ordered, parse: Parse) -> bool:
    limits = [event.limit for event in span.events if event.limit is not None]
    # "*" is infinity (OSV, "Special values"); no limit is that too.
    return not limits or any("*" in text or sought < parse(text) for text in limits)


def _sort_points(span: Range, parse: Parse) -> list[_Point]:
    """The events in order of version. Raises `Rejected` if what they say is not clear."""
    points = []
    for event in span.events:
        said = [
            text
            for text in (event.introduced, event.fixed, event.last_affected, event.limit)
            if text is not None
        ]
        if len(said) != 1:
            raise Rejected("broken", "an event says not exactly one thing")
        if event.limit is None:
            at = None if event.introduced == _ZERO else parse(said[0])
            points.append(_Point(at, event))
    if any(one.event.fixed for one in points) and any(one.event.last_affected for one in points):
        raise Rejected("broken", "a range has both fixed and last_affected")
    ordered = _insert_in_order(points)
    for index, point in enumerate(ordered):
        if (point.event.introduced is not None) is not (index % 2 == 0):
            message = f"events do not alternate: {', '.join(_tell(one.event) for one in ordered)}"
            raise Rejected("broken", message[:_MAX_SHOWN])
    if not ordered:
        raise Rejected("broken", "a range without events")
    ordered = _without_empty(ordered)
    _require_progress(ordered)
    return ordered


def _insert_in_order(points: Sequence[_Point]) -> list[_Point]:
    """Sorted by version, by `<` alone; of equals the introduction goes first."""
    ordered = sorted(points, key=lambda one: 0 if one.event.introduced is not None else 1)
    return sorted(ordered, key=_Key)


class _Key:
    __slots__ = ("at",)

    def __init__(self, point: _Point) -> None:
        self.at = point.at

    def __lt__(self, other: "_Key") -> bool:
        if self.at is None or other.at is None:
            return self.at is None and other.at is not None
        return self.at < other.at


def _without_empty(ordered: list[_Point]) -> list[_Point]:
    """Without what is fixed where it was introduced, if something else remains.

    RustSec's exporter writes that for "patched from X on": it holds no version. A range of nothing
    else says nothing, and stays as broken as it is.
    """
    kept: list[_Point] = []
    for begin, end in zip(ordered[::2], ordered[1::2], strict=False):
        if not (end.event.fixed and begin.at and end.at and not begin.at < end.at):
            kept += (begin, end)
    kept += ordered[len(ordered) // 2 * 2 :]  # one that has no end
    return kept or ordered


def _require_progress(ordered: Sequence[_Point]) -> None:
    """Only a single version may begin and end a range at once, and by `last_affected`."""
    for one, following in itertools.pairwise(ordered):
        moves = following.at is not None and (one.at is None or one.at < following.at)
        single = one.event.introduced is not None and following.event.last_affected is not None
        if not moves and not single:
            raise Rejected("broken", f"{_tell(one.event)} and {_tell(following.event)} contradict")
