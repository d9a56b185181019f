"""R4e: code from outside is checked for authenticity."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.dossier import read_locks
from limpet.audit.judgements.documents import judge_locks
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The lock files of the source tree: every package with its hash."""
    return judge_locks(target.observe(read_locks))


CHECK = Check(
    statement="R4e",
    section="4",
    means=(Means.DOSSIER,),
    run=run,
    needs=(Input.PRODUCT,),
)
