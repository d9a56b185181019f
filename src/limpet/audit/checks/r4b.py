"""R4b: bugs are tracked in a bug tracking system."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attested, failed
from limpet.audit.instruments.dossier import read_design
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The design file's word; the gate holds fixes of security bugs to it."""
    development = target.observe(read_design).product.development
    if development is None:
        return failed("the design file names no bug tracker")
    return attested(f"bugs are tracked at {development.issue_tracker}")


CHECK = Check(
    statement="R4b",
    section="4",
    means=(Means.DOSSIER,),
    run=run,
    needs=(Input.PRODUCT,),
)
