"""R5.4: public documentation lets experts assess the design."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.dossier import read_design
from limpet.audit.instruments.service import read_pages
from limpet.audit.judgements.devices import judge_public_design
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The vendor's public security page against the threats and measures of the design."""
    return judge_public_design(
        target.observe(read_pages)["/security"], target.observe(read_design).product
    )


CHECK = Check(
    statement="R5.4",
    section="5.4",
    means=(
        Means.SERVICE,
        Means.DOSSIER,
    ),
    run=run,
    needs=(
        Input.PRODUCT,
        Input.VENDOR_URL,
    ),
)
