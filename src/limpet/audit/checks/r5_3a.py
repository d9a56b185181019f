"""R5.3a: maker, model and hardware revision are printed on the device."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.dossier import read_design, read_label_text
from limpet.audit.judgements.documents import judge_label
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The label's artwork; the ink was not seen."""
    return judge_label(target.observe(read_label_text), target.observe(read_design).product)


CHECK = Check(
    statement="R5.3a",
    section="5.3",
    means=(Means.DOSSIER,),
    run=run,
    needs=(Input.PRODUCT,),
)
