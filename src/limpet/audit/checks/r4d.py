"""R4d: bug databases are checked periodically."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.repository import read_repository
from limpet.audit.instruments.watch import read_watch
from limpet.audit.judgements.watch import judge_looks
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """When the vendor last looked, in which data, and whether the newest release was in it."""
    record = target.observe(read_watch)
    return judge_looks(record, target.observe(read_repository), target.now())


CHECK = Check(
    statement="R4d",
    section="4",
    means=(
        Means.SERVICE,
        Means.DOSSIER,
    ),
    run=run,
)
