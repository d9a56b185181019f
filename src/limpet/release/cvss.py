"""CVSS 3.x: from a vector to its base score and its word. Pure.

Owns the arithmetic of FIRST's specification (3.0 and 3.1, section 7.1 and 5). Knows no other
version: of a vector of CVSS 2 or 4 it says no score, and never a wrong one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from limpet.errors import Rejected

__all__ = ["Score", "parse_cvss", "severity_of"]

_BASE = re.compile(
    r"CVSS:(3\.[01])/AV:([NALP])/AC:([LH])/PR:([NLH])/UI:([NR])/S:([UC])"
    r"/C:([NLH])/I:([NLH])/A:([NLH])"
)
_REACH: Mapping[str, float] = {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2}
_EFFORT: Mapping[str, float] = {"L": 0.77, "H": 0.44}
_RIGHTS: Mapping[str, Mapping[str, float]] = {
    "U": {"N": 0.85, "L": 0.62, "H": 0.27},
    "C": {"N": 0.85, "L": 0.68, "H": 0.5},
}
_HELP: Mapping[str, float] = {"N": 0.85, "R": 0.62}
_LOSS: Mapping[str, float] = {"N": 0.0, "L": 0.22, "H": 0.56}
_WORDS = ("critical", "high", "medium", "low", "none")
_BOUNDS = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"))
_SYNONYMS: Mapping[str, str] = {"moderate": "medium", "important": "high"}


@dataclass(frozen=True, slots=True)
class Score:
    """What a vector says."""

    version: str  # "3.0" or "3.1"
    vector: str
    base: float  # 0.0 to 10.0
    severity: str  # none, low, medium, high, critical (section 5)


def parse_cvss(vector: str) -> Score:
    """The base score of a CVSS 3.x base vector in the specification's own order of metrics.

    Raises `Rejected("bad-vector")` for anything else, temporal and environmental metrics included.
    """
    match = _BASE.fullmatch(vector)
    if match is None:
        message = f"{vector[:80]!a} is no base vector of CVSS 3.0 or 3.1"
        hint = "as CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
        raise Rejected("bad-vector", message, hint=hint)
    version, reach, effort, rights, help_, scope, *losses = match.groups()
    left = 1.0
    for loss in losses:
        left *= 1 - _LOSS[loss]
    subscore = 1 - left
    if scope == "U":
        impact = 6.42 * subscore
    else:
        impact = 7.52 * (subscore - 0.029) - 3.25 * (subscore - 0.02) ** 15
    ease = 8.22 * _REACH[reach] * _EFFORT[effort] * _RIGHTS[scope][rights] * _HELP[help_]
    total = impact + ease if scope == "U" else 1.08 * (impact + ease)
    base = 0.0 if impact <= 0 else _round_up(min(total, 10), version)
    return Score(version, vector, base, _word(base))


def severity_of(published: str) -> str:
    """The word for a severity as an advisory publishes it: a vector or a word; else "unrated"."""
    text = published.strip().lower()
    text = _SYNONYMS.get(text, text)
    if text in _WORDS:
        return text
    if match := _BASE.match(published.strip()):  # what follows it does not change the base score
        return parse_cvss(match[0]).severity
    return "unrated"


def _round_up(number: float, version: str) -> float:
    """To one decimal; 3.1 says how, so that no machine's floating point matters (appendix A)."""
    if version == "3.0":
        return ceil(number * 10) / 10
    whole = round(number * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (whole // 10_000 + 1) / 10


def _word(base: float) -> str:
    return next((word for bound, word in _BOUNDS if base >= bound), "none")
