"""R2.4.2a: automatic updates are on by default."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.dossier import read_design
from limpet.audit.instruments.policy import read_update_status
from limpet.audit.judgements.updates import judge_automatic
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The policy of this device, and the default in the design file."""
    by_design = None
    if target.product_dir is not None:
        by_design = target.observe(read_design).product.update.automatic
    return judge_automatic(target.observe(read_update_status), by_design)


CHECK = Check(
    statement="R2.4.2a",
    section="2.4.2",
    means=(Means.NETWORK,),
    run=run,
    needs=(
        Input.DEVICE,
        Input.TOKEN,
        Input.DEVICE_ROOT,
    ),
)
