"""R4f: code from outside is checked periodically for known bugs."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.repository import read_repository
from limpet.audit.instruments.watch import read_watch
from limpet.audit.judgements.watch import judge_looks
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Whether every component of the newest release was looked up at the last look."""
    record = target.observe(read_watch)
    return judge_looks(record, target.observe(read_repository), target.now())


CHECK = Check(
    statement="R4f",
    section="4",
    means=(
        Means.SERVICE,
        Means.DOSSIER,
    ),
    run=run,
)
