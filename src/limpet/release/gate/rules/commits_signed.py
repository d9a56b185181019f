"""commits-signed: where the product demands it, who may sign has signed every commit."""

from limpet.errors import Unavailable
from limpet.product import Development
from limpet.release.gate._rule import Fault, Finding, Rule, judged, not_applicable
from limpet.release.gate._subject import Subject
from limpet.source import find_unsigned, is_shallow

__all__ = ["RULE", "judge"]


def judge(subject: Subject) -> Finding:
    """Every commit since the release before, by the file of who may sign.

    Demanded by this design file or by that of the release before: no commit can switch off the
    very rule that would refuse it.
    """
    now, last = subject.development, subject.last_design
    before = last.development if last else None
    demanding = [one for one in (before, now) if one is not None and one.signed_commits]
    if not demanding:
        return not_applicable("the design file does not demand signed commits")
    if is_shallow(subject.product):
        raise Unavailable("the history was cut", hint="fetch all of it: git fetch --unshallow")
    signers = _signers(demanding)
    if isinstance(signers, Fault):
        return judged((signers,))
    commits = subject.commits
    begins = before is None or not before.signed_commits
    faults = tuple(
        Fault(f"commit {one.commit.short}: {one.why}: {one.commit.subject}")
        for one in find_unsigned(subject.product, commits, signers, begins=begins)
    )
    return judged(faults, f"{len(commits)} commits signed by who {signers} names")


def _signers(demanding: list[Development]) -> str | Fault:
    named = {one.allowed_signers for one in demanding if one.allowed_signers}
    if len(named) == 1:
        return named.pop()
    if not named:
        return Fault("nobody is named who may sign", "product.toml", hint="set allowed_signers")
    return Fault(
        f"who may sign was in another file: {', '.join(sorted(named))}",
        "product.toml",
        hint="keep its name: this file decides who may change it",
    )


RULE = Rule(
    id="commits-signed",
    title="Every commit carries a valid signature of somebody who may sign",
    reason="An author's name is typed by anybody; a signature ties a change to a person's key.",
    statements=("R4a",),
    hint="have it signed by somebody whom the file names: git rebase --exec 'git commit --amend"
    " --no-edit -S' …",
    judge=judge,
)
