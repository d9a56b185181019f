"""R2.1.1a: the design enumerates specific threats."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.dossier import read_design
from limpet.audit.judgements.documents import judge_threats
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The threats in the design file, over all its interfaces."""
    return judge_threats(target.observe(read_design))


CHECK = Check(
    statement="R2.1.1a",
    section="2.1.1",
    means=(Means.DOSSIER,),
    run=run,
    needs=(Input.PRODUCT,),
)
