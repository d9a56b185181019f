"""tracker-named: bugs are tracked, and a fix of a security bug says which one it fixes."""

from collections.abc import Iterator

from limpet.release.gate._issues import find_issue, find_security_fix
from limpet.release.gate._past import load_past
from limpet.release.gate._rule import Fault, Finding, Rule, judged
from limpet.release.gate._subject import Subject
from limpet.source import Commit

__all__ = ["RULE", "judge"]


def judge(subject: Subject) -> Finding:
    """The tracker of the design file, and every commit since the release before."""
    tracker = subject.development.issue_tracker
    own = [one.id for one in load_past(subject.product)]
    fixes = [(one, why) for one in subject.commits if (why := find_security_fix(one, own))]
    return judged(
        tuple(_faults(fixes, tracker)),
        f"{tracker}; {len(fixes)} commits fix security bugs, each of an issue",
    )


def _faults(fixes: list[tuple[Commit, str]], tracker: str) -> Iterator[Fault]:
    for commit, why in fixes:
        if not commit.issues:
            yield Fault(f"commit {commit.short} fixes {why} and names no issue: {commit.subject}")
        for stated in commit.issues:
            if find_issue(stated, tracker) is None:
                yield Fault(f"commit {commit.short}: {stated[:80]!a} is no issue of {tracker}")


RULE = Rule(
    id="tracker-named",
    title="Bugs are tracked, and each fix of a security bug names its issue",
    reason="A fix that points at no report cannot be followed: neither what it mends nor for whom.",
    statements=("R4b",),
    hint="end the message with a line \"Issue: #12\", or the issue's address below the tracker's",
    judge=judge,
)
