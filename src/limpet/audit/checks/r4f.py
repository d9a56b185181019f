"""R4f: code from outside is checked periodically for known bugs."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding, not_yet
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Nothing records such checks yet."""
    del target
    return not_yet("no record of a periodic check of the locked components")


CHECK = Check(
    statement="R4f",
    section="4",
    means=(
        Means.SERVICE,
        Means.DOSSIER,
    ),
    run=run,
)
