"""R2.4.2d: changes of the update policy are authenticated."""

from limpet.audit.check import Check, Input, Means, Stage
from limpet.audit.finding import Finding
from limpet.audit.instruments.policy import steal_policy
from limpet.audit.judgements.updates import judge_theft
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The policy changed with no token, a made-up one, and one that may only read."""
    return judge_theft(target.observe(steal_policy))


CHECK = Check(
    statement="R2.4.2d",
    section="2.4.2",
    means=(Means.NETWORK,),
    run=run,
    needs=(Input.DEVICE,),
    stage=Stage.CHANGING,
)
