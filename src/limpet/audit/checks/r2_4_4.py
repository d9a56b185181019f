"""R2.4.4: automatic updates are phased in."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.repository import read_repository
from limpet.audit.judgements.updates import judge_phases
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The signed bounds of each release, and the shares that plans have admitted."""
    repository = target.observe(read_repository)
    return judge_phases(repository.releases, repository.plans)


CHECK = Check(
    statement="R2.4.4",
    section="2.4.4",
    means=(Means.SERVICE,),
    run=run,
)
