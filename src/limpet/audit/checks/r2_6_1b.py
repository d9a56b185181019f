"""R2.6.1b: a vendor that leaves such features out says why."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, passed
from limpet.audit.instruments.dossier import read_design
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The decision on memory protection, and a rationale for each missing mechanism."""
    product = target.observe(read_design).product
    gaps = ", ".join(gap.mechanism.value for gap in product.confinement_gaps) or "no gap"
    choice = product.decisions.memory_protection.choice
    return passed(f"the design gives its rationale ({gaps}): {choice[:160]}")


CHECK = Check(
    statement="R2.6.1b",
    section="2.6.1",
    means=(Means.DOSSIER,),
    run=run,
    needs=(Input.PRODUCT,),
)
