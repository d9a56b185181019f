"""R2.2.3a: excessive numbers of authentication attempts are borne."""

from limpet.audit.check import Check, Input, Means, Stage
from limpet.audit.finding import Finding
from limpet.audit.instruments.load import measure_guessing_flood
from limpet.audit.judgements.attacks import judge_load
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Logins by guesses from several sources, and the owner's waiting times meanwhile."""
    return judge_load(target.observe(measure_guessing_flood))


CHECK = Check(
    statement="R2.2.3a",
    section="2.2.3",
    means=(Means.NETWORK,),
    run=run,
    needs=(
        Input.DEVICE,
        Input.TOKEN,
        Input.DEVICE_ROOT,
    ),
    stage=Stage.FLOODING,
    seconds=15.0,
)
