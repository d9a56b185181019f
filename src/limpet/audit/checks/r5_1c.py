"""R5.1c: new security risks are met by updates within the support period."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding, not_yet
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """No record of risks exists that releases could be held against."""
    del target
    return not_yet("no record of security risks that releases could be held against")


CHECK = Check(
    statement="R5.1c",
    section="5.1",
    means=(
        Means.SERVICE,
        Means.DOSSIER,
    ),
    run=run,
)
