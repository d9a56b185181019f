"""R2.1.1b: each threat has named measures."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.dossier import read_design
from limpet.audit.judgements.documents import judge_measures
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The measures in the design file, or an acceptance with owner and date."""
    return judge_measures(target.observe(read_design))


CHECK = Check(
    statement="R2.1.1b",
    section="2.1.1",
    means=(Means.DOSSIER,),
    run=run,
    needs=(Input.PRODUCT,),
)
