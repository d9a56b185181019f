"""R2.4.1b: devices check for updates at frequent but irregular intervals."""

from limpet.audit.check import Check, Input, Means, Stage
from limpet.audit.finding import Finding
from limpet.audit.instruments.dossier import read_design
from limpet.audit.instruments.policy import plan_checks
from limpet.audit.judgements.updates import judge_intervals
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """When the device plans its next check, drawn anew some times; the policy stays as it is."""
    most = 0.0
    if target.product_dir is not None:
        most = float(target.observe(read_design).product.update.check_interval_max_seconds)
    return judge_intervals(target.observe(plan_checks), most)


CHECK = Check(
    statement="R2.4.1b",
    section="2.4.1",
    means=(
        Means.SERVICE,
        Means.HOST,
    ),
    run=run,
    needs=(
        Input.DEVICE,
        Input.TOKEN,
        Input.DEVICE_ROOT,
    ),
    stage=Stage.CHANGING,
    seconds=15.0,
)
