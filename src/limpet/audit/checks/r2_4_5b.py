"""R2.4.5b: updates that are not authentic are rejected."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.host import read_device_log
from limpet.audit.judgements.updates import judge_refused
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The refusals in the device's log; a log without any shows nothing."""
    return judge_refused(target.observe(read_device_log))


CHECK = Check(
    statement="R2.4.5b",
    section="2.4.5",
    means=(
        Means.SERVICE,
        Means.HOST,
    ),
    run=run,
    needs=(Input.DEVICE_DIR,),
)
