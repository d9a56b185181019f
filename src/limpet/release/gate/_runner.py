"""Runs every rule and never believes a broken one.

Owns the order and what an error means: `Rejected` refuses, `Unavailable` and any surprise leave
a rule inconclusive, and none of them becomes a pass.
"""

import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from limpet.errors import Rejected, Unavailable
from limpet.release.gate._rule import Fault, Finding, Rule, Verdict
from limpet.release.gate._subject import Subject
from limpet.wire.release import Digest, ModelName, Version

__all__ = ["Judgement", "Report", "run_gate"]

_WORST_FIRST = (Verdict.REFUSED, Verdict.INCONCLUSIVE, Verdict.PASSED)
_EXIT = {Verdict.PASSED: 0, Verdict.REFUSED: 1, Verdict.INCONCLUSIVE: 3}


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule found, with what a reader needs to understand it."""

    rule: str
    title: str
    reason: str
    statements: tuple[str, ...]
    hint: str
    finding: Finding


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says of one release. Keys are only ever added."""

    spec: Literal["limpet-gate-1"] = "limpet-gate-1"
    model: ModelName
    version: Version
    manifest_sha256: Digest
    image_sha256: Digest
    judged_at: datetime  # UTC
    judgements: tuple[Judgement, ...]

    @property
    def verdict(self) -> Verdict:
        """That of the worst judgement; a gate without rules has concluded nothing."""
        found = {one.finding.verdict for one in self.judgements}
        return next((one for one in _WORST_FIRST if one in found), Verdict.INCONCLUSIVE)

    @property
    def totals(self) -> dict[str, int]:
        """How many rules have each verdict."""
        counted = Counter(one.finding.verdict for one in self.judgements)
        return {verdict.value: counted[verdict] for verdict in Verdict}

    @property
    def exit_code(self) -> int:
        """0 passed, 1 refused, 3 inconclusive."""
        return _EXIT[self.verdict]


def _silent(doing: str) -> None:
    """Nobody watches."""


def run_gate(
    subject: Subject, rules: Sequence[Rule], progress: Callable[[str], None] = _silent
) -> Report:
    """Judge `subject` by every rule. Raises as `load_built` where there is no whole release.

    A rule that waits for other processes does so beside the others; the report is in order.
    Whatever ends this early, `subject.given_up` tells such a rule.
    """
    built = subject.built
    waiting = [rule for rule in rules if rule.waits]
    with ThreadPoolExecutor(max(1, len(waiting))) as beside:
        try:
            begun = [beside.submit(_judge, rule, subject) for rule in waiting]
            found: list[Future[Finding] | Finding] = []
            for rule in rules:
                progress(rule.title)
                found.append(begun[waiting.index(rule)] if rule.waits else _judge(rule, subject))
            judgements = [
                _judgement(rule, one.result() if isinstance(one, Future) else one)
                for rule, one in zip(rules, found, strict=True)
            ]
        except BaseException:
            subject.given_up.set()  # Ctrl-C: the executor waits for what was begun
            raise
    return Report(
        model=built.manifest.model,
        version=built.manifest.version,
        manifest_sha256=built.manifest_sha256,
        image_sha256=Path(built.manifest.image.path).stem,
        judged_at=subject.now,
        judgements=tuple(judgements),
    )


def _judge(rule: Rule, subject: Subject) -> Finding:
    try:
        return rule.judge(subject)
    except Rejected as error:
        return Finding(Verdict.REFUSED, faults=(Fault(error.message, hint=error.hint),))
    except Unavailable as error:
        return Finding(Verdict.INCONCLUSIVE, faults=(Fault(error.message, hint=error.hint),))
    except OSError as error:
        said = f"{error.strerror or type(error).__name__}: {error.filename or '?'}".lower()
        return Finding(Verdict.INCONCLUSIVE, faults=(Fault(said),))
    except Exception as error:  # whatever a rule does wrong, it has not shown anything
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        said = f"the rule broke: {type(error).__name__} at {place}"
        return Finding(Verdict.INCONCLUSIVE, faults=(Fault(said),))


def _judgement(rule: Rule, finding: Finding) -> Judgement:
    return Judgement(
        rule=rule.id,
        title=rule.title,
        reason=rule.reason,
        statements=rule.statements,
        hint=rule.hint,
        finding=finding,
    )
