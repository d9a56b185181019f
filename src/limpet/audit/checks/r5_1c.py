"""R5.1c: new security risks are met by updates within the support period."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding, Verdict, combine_all, undetermined
from limpet.audit.instruments.repository import read_repository
from limpet.audit.instruments.watch import read_watch
from limpet.audit.judgements.watch import judge_fixes, judge_looks
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Whether what became known is fixed in time; only a look that was made can tell."""
    record = target.observe(read_watch)
    looks = judge_looks(record, target.observe(read_repository), target.now())
    fixes = judge_fixes(record, target.now())
    if looks.verdict is Verdict.PASS:
        return fixes
    return combine_all(fixes, undetermined(f"it is not known what is open: {looks.evidence}"))


CHECK = Check(
    statement="R5.1c",
    section="5.1",
    means=(
        Means.SERVICE,
        Means.DOSSIER,
    ),
    run=run,
)
