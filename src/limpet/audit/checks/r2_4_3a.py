"""R2.4.3a: automatic updates keep the interfaces compatible."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.repository import read_repository
from limpet.audit.judgements.updates import judge_interfaces
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The interface versions of all releases in the repository."""
    return judge_interfaces(target.observe(read_repository).releases)


CHECK = Check(
    statement="R2.4.3a",
    section="2.4.3",
    means=(
        Means.SERVICE,
        Means.DOSSIER,
    ),
    run=run,
)
