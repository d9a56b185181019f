"""R4b: bugs are tracked in a bug tracking system."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding, not_yet
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The design file has no place yet for the bug tracker and its records."""
    del target
    return not_yet("the design file names no bug tracker that could be looked at")


CHECK = Check(
    statement="R4b",
    section="4",
    means=(Means.DOSSIER,),
    run=run,
)
