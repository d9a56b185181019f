"""R1b: physical security is considered in the design."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attested
from limpet.audit.instruments.dossier import read_design
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """`attested` by the decision on physical attack in the design file."""
    decision = target.observe(read_design).product.decisions.physical_attack
    return attested(f"decision on physical attack: {decision.choice[:160]}")


CHECK = Check(
    statement="R1b",
    section="1",
    means=(Means.DOSSIER,),
    run=run,
    needs=(Input.PRODUCT,),
)
