"""R4g: known security bugs are addressed before shipping."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding, not_yet
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The release gate that would hold a release back is missing."""
    del target
    return not_yet("no release gate compares a release with known security bugs")


CHECK = Check(
    statement="R4g",
    section="4",
    means=(
        Means.SERVICE,
        Means.DOSSIER,
    ),
    run=run,
)
