"""R2.2.3b: how floods are met is an explicit design choice."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, passed
from limpet.audit.instruments.dossier import read_design
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The decision on floods in the design file: the statement asks for the choice itself."""
    decision = target.observe(read_design).product.decisions.flood_handling
    return passed(f"the design chose: {decision.choice[:160]}")


CHECK = Check(
    statement="R2.2.3b",
    section="2.2.3",
    means=(Means.DOSSIER,),
    run=run,
    needs=(Input.PRODUCT,),
)
