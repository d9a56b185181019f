"""R2.4.2b: the owner may turn automatic updates off."""

from limpet.audit.check import Check, Input, Means, Stage
from limpet.audit.finding import Finding
from limpet.audit.instruments.policy import change_policy
from limpet.audit.judgements.updates import judge_turn_off
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """A permission: turned off as the owner, read back, and put back."""
    return judge_turn_off(target.observe(change_policy))


CHECK = Check(
    statement="R2.4.2b",
    section="2.4.2",
    means=(Means.NETWORK,),
    run=run,
    needs=(
        Input.DEVICE,
        Input.TOKEN,
        Input.DEVICE_ROOT,
    ),
    stage=Stage.CHANGING,
)
