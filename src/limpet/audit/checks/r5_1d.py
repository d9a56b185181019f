"""R5.1d: security updates keep the interfaces as they are."""

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
    statement="R5.1d",
    section="5.1",
    means=(
        Means.SERVICE,
        Means.DOSSIER,
    ),
    run=run,
)
