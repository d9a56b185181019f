"""R2.1g: some excessive traffic is borne without complete failure."""

from limpet.audit.check import Check, Input, Means, Stage
from limpet.audit.finding import Finding
from limpet.audit.instruments.load import measure_slow_flood
from limpet.audit.judgements.attacks import judge_load
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Half-open and never-ending connections, and an honest client's waiting times meanwhile."""
    return judge_load(target.observe(measure_slow_flood))


CHECK = Check(
    statement="R2.1g",
    section="2.1",
    means=(Means.NETWORK,),
    run=run,
    needs=(Input.DEVICE,),
    stage=Stage.FLOODING,
    seconds=15.0,
)
