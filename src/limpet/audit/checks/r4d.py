"""R4d: bug databases are checked periodically."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding, not_yet
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Nothing records such checks yet."""
    del target
    return not_yet("no release carries a component list that is compared with a bug database")


CHECK = Check(
    statement="R4d",
    section="4",
    means=(
        Means.SERVICE,
        Means.DOSSIER,
    ),
    run=run,
)
