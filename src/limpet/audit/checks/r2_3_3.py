"""R2.3.3: algorithms and key lengths make brute force infeasible."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.tls import survey_device
from limpet.audit.judgements.tls import judge_strength
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The weakest of what the device accepts when it is offered alone."""
    return judge_strength(target.observe(survey_device))


CHECK = Check(
    statement="R2.3.3",
    section="2.3.3",
    means=(Means.NETWORK,),
    run=run,
    needs=(Input.DEVICE,),
)
