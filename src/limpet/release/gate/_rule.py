"""What a rule of the gate declares about itself, and what it finds.

Owns both forms. A rule that could not look has not passed: what is inconclusive blocks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from limpet.release.gate._subject import Subject

__all__ = ["Fault", "Finding", "Rule", "Verdict", "judged", "not_applicable", "passed"]


class Verdict(StrEnum):
    """What is known about a release by one rule, or by all."""

    PASSED = "passed"
    REFUSED = "refused"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not applicable"


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that stands against a release: where, in one sentence, and what to do."""

    text: str
    file: str = ""  # relative to the product's directory where it lies there
    line: int = 0  # from 1; 0: the whole file
    hint: str = ""  # in place of the rule's own


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule's judgement. `evidence` is what was looked at, in short sentences, also if it passed.

    `listed` is what a person shall see though it stops nothing: a known hole without a remedy.
    `notes` stop nothing either, and have to be mended before a customer gets a device.
    """

    verdict: Verdict
    evidence: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    listed: tuple[str, ...] = ()
    notes: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: one file in `limpet.release.gate.rules`, one specimen product in its tests.

    `judge` raises `Rejected` for what it cannot accept and `Unavailable` for what it could not
    look at; the runner turns these into `refused` and `inconclusive`.
    """

    id: str  # "design-whole": stable, for reports, SARIF and people
    title: str  # what holds if it passes, in one line
    reason: str  # why a release without it is not shipped
    statements: tuple[str, ...]  # of the draft, that it serves
    hint: str  # how to mend it
    judge: Callable[[Subject], Finding]
    waits: bool = False  # mostly for other processes: it runs beside the others


def passed(*evidence: str, listed: tuple[str, ...] = (), notes: tuple[Fault, ...] = ()) -> Finding:
    """It was looked at, and holds."""
    return Finding(Verdict.PASSED, evidence=evidence, listed=listed, notes=notes)


def not_applicable(why: str) -> Finding:
    """There is nothing to look at: the product does without what the rule is about."""
    return Finding(Verdict.NOT_APPLICABLE, evidence=(why,))


def judged(faults: tuple[Fault, ...], *evidence: str) -> Finding:
    """Refused if there is a fault, else passed."""
    verdict = Verdict.REFUSED if faults else Verdict.PASSED
    return Finding(verdict, evidence=evidence, faults=faults)
