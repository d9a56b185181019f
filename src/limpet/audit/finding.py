"""What a check found: a verdict and the evidence for it.

Owns the verdicts and how the findings of several means join into one. Must never
let a part that could not be looked at turn into a pass: a statement is as strong
as its weakest part.
"""

import enum
from collections.abc import Callable

import msgspec

from limpet.errors import LimpetError

__all__ = [
    "MAX_EVIDENCE",
    "Finding",
    "Verdict",
    "attempt",
    "attested",
    "combine_all",
    "combine_any",
    "failed",
    "not_applicable",
    "not_yet",
    "passed",
    "undetermined",
]

MAX_EVIDENCE = 600
"""Characters of evidence kept for one statement."""


class Verdict(enum.Enum):
    """What is known about one statement."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"
    COULD_NOT_DETERMINE = "could not determine"
    ATTESTED = "attested"  # a document says so; nothing was measured
    NOT_YET = "not yet"  # limpet does not build or check it yet


class Finding(msgspec.Struct, frozen=True):
    """A verdict and one short factual sentence (or some, joined by "; ")."""

    verdict: Verdict
    evidence: str


def passed(evidence: str) -> Finding:
    """It was looked at and holds."""
    return Finding(Verdict.PASS, evidence)


def failed(evidence: str) -> Finding:
    """It was looked at and does not hold."""
    return Finding(Verdict.FAIL, evidence)


def not_applicable(evidence: str) -> Finding:
    """The statement's condition is not met by this product."""
    return Finding(Verdict.NOT_APPLICABLE, evidence)


def undetermined(evidence: str) -> Finding:
    """The check could not be made, for the reason given."""
    return Finding(Verdict.COULD_NOT_DETERMINE, evidence)


def attested(evidence: str) -> Finding:
    """A document says so."""
    return Finding(Verdict.ATTESTED, evidence)


def not_yet(evidence: str) -> Finding:
    """What is missing is named in the evidence."""
    return Finding(Verdict.NOT_YET, evidence)


# Weakest first: the first one present among the parts is the verdict of the whole.
_WEAKEST_FIRST = (
    Verdict.FAIL,
    Verdict.COULD_NOT_DETERMINE,
    Verdict.NOT_YET,
    Verdict.ATTESTED,
    Verdict.PASS,
    Verdict.NOT_APPLICABLE,
)


def attempt(label: str, look: Callable[[], Finding]) -> Finding:
    """`look()` with its evidence marked by `label`; a foreseen error is `could not determine`."""
    try:
        finding = look()
    except LimpetError as error:
        finding = undetermined(str(error))
    except OSError as error:
        finding = undetermined(f"{error.strerror or type(error).__name__}".lower())
    return Finding(finding.verdict, f"{label}: {finding.evidence}")


def combine_all(*parts: Finding) -> Finding:
    """Every part must hold: the weakest verdict, with all the evidence."""
    return _combine(parts, parts)


def combine_any(*parts: Finding) -> Finding:
    """Any part that could be looked at is enough; a failed one still fails the whole."""
    seen = tuple(p for p in parts if p.verdict is not Verdict.COULD_NOT_DETERMINE)
    return _combine(seen or parts, parts)


def _combine(deciding: tuple[Finding, ...], shown: tuple[Finding, ...]) -> Finding:
    if not deciding:
        return undetermined("nothing was looked at")
    verdict = min((part.verdict for part in deciding), key=_WEAKEST_FIRST.index)
    # The part that decided comes first, so that a cut never hides the reason.
    ordered = sorted(shown, key=lambda part: part.verdict is not verdict)
    evidence = "; ".join(part.evidence for part in ordered)
    return Finding(verdict, evidence[:MAX_EVIDENCE])
