"""advisories-tested: every vulnerability that the product had has a test that would find it."""

from limpet.release.gate._past import ADVISORIES, Past, load_gone, load_past, load_published
from limpet.release.gate._rule import Fault, Finding, Rule, judged, passed
from limpet.release.gate._subject import Subject
from limpet.release.testing import Outcome, Result

__all__ = ["RULE", "judge"]


def judge(subject: Subject) -> Finding:
    """Every advisory of the product against the result of its tests.

    Those of the release before, and those that are published, too: who takes an advisory away
    takes its test away.
    """
    past, since = load_past(subject.product), subject.last_commit
    gone = load_gone(subject.product, since) if since else ()
    kept = {one.id for one in past}
    missing = set(load_published(subject.published, subject.manifest.model)) - kept - set(gone)
    if not (past or gone or missing):
        return passed("the product has no past advisory")
    faults = (
        *(
            Fault(f"{name} was there at the release before, and is gone", ADVISORIES)
            for name in gone
        ),
        *(Fault(f"{name} is published, and is not here", ADVISORIES) for name in sorted(missing)),
        *(fault for one in past for fault in _faults(one, subject.result)),
    )
    tests = {test for one in past for test in one.tests}
    return judged(faults, f"{len(past)} past vulnerabilities, {len(tests)} regression tests")


def _faults(past: Past, result: Result) -> list[Fault]:
    named = f"{past.id}: {past.vulnerability}"
    if not past.tests:
        return [Fault(f"{named} names no regression test", past.file)]
    found = []
    for test in past.tests:
        cases = result.find(test)
        if not cases:
            found.append(Fault(f"{named}: its test did not run: {test}", past.file))
        for one in cases:
            if one.outcome is not Outcome.PASSED:
                found.append(Fault(f"{named}: its test {one.outcome}: {one.id}", past.file))
    return found


RULE = Rule(
    id="advisories-tested",
    title="Every past vulnerability of the product has a regression test that ran",
    reason="What came once comes again with the next change, unless a test stands in its way.",
    statements=("R4c",),
    hint=f'name it in {ADVISORIES}/*.json: a note, category "other", title "regression-test",'
    " text the test's id as pytest prints it",
    judge=judge,
)
