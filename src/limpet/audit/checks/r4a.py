"""R4a: source code is under change control with identities."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.dossier import read_history
from limpet.audit.judgements.documents import judge_history
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The commits that touch the product's directory."""
    return judge_history(target.observe(read_history))


CHECK = Check(
    statement="R4a",
    section="4",
    means=(Means.DOSSIER,),
    run=run,
    needs=(Input.PRODUCT,),
    seconds=12.0,
)
