"""tests-ran: the product's own tests ran on exactly this commit, and all passed."""

from collections.abc import Iterator

from limpet.errors import Unavailable
from limpet.release.gate._rule import Fault, Finding, Rule, Verdict
from limpet.release.gate._subject import Subject
from limpet.release.testing import CLEAN, Outcome, Result

__all__ = ["RULE", "judge"]


def judge(subject: Subject) -> Finding:
    """The JUnit result against the commit that the release was built from."""
    result, commit = subject.result, subject.manifest.source_commit
    if not commit:
        raise Unavailable("the release does not say from which commit it was built")
    faults = tuple(_faults(result, commit))
    skipped = [one for one in result.cases if one.outcome is Outcome.SKIPPED]
    ran = len(result.cases) - len(skipped)
    return Finding(
        Verdict.REFUSED if faults else Verdict.PASSED,
        evidence=(f"{ran} tests ran on commit {commit[:12]}, {len(skipped)} were left out",),
        faults=faults,
        listed=tuple(f"left out: {one.id}: {one.why or 'no reason given'}" for one in skipped),
    )


def _faults(result: Result, commit: str) -> Iterator[Fault]:
    if not any(one.outcome is not Outcome.SKIPPED for one in result.cases):
        yield Fault("no test ran")
    for stated in sorted(result.commits or {""}):
        if not stated:
            yield Fault("the result does not say on which commit the tests ran")
        elif stated != commit:
            yield Fault(f"the tests ran on {stated[:12]!a}, and the release is {commit[:12]!a}")
    if result.trees != {CLEAN}:
        yield Fault("the tests ran on a tree with changes that are in no commit")
    broken = [one for one in result.cases if one.outcome in (Outcome.FAILED, Outcome.ERROR)]
    for one in broken:
        yield Fault(f"{one.id} {one.outcome}: {one.why}".rstrip(": "))
    if result.counted and not broken:
        yield Fault(f"the result counts {result.counted} failures, and shows none")


RULE = Rule(
    id="tests-ran",
    title="The product's own tests ran on exactly this commit, and passed",
    reason="A test of another source says nothing about what is shipped.",
    statements=("R4c",),
    hint="limpet product test DIR --out junit.xml on the commit that is released, then --tests",
    judge=judge,
)
