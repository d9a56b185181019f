"""R2.4.5c: updates are authenticated by public-key signatures."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.repository import read_repository
from limpet.audit.judgements.updates import judge_schemes
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The signature schemes of every role, and whose keys they are."""
    return judge_schemes(target.observe(read_repository))


CHECK = Check(
    statement="R2.4.5c",
    section="2.4.5",
    means=(Means.SERVICE,),
    run=run,
)
