"""R1a: the vendor assesses the threats to each device."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, Verdict, attested
from limpet.audit.instruments.dossier import read_design
from limpet.audit.judgements.documents import judge_threats
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """`attested` by a threat assessment that covers every interface."""
    design = target.observe(read_design)
    finding = judge_threats(design)
    if finding.verdict is not Verdict.PASS:
        return finding
    return attested(f"the design file assesses {design.product.model.name}: {finding.evidence}")


CHECK = Check(
    statement="R1a",
    section="1",
    means=(Means.DOSSIER,),
    run=run,
    needs=(Input.PRODUCT,),
)
