"""R2.6.1a: processes are kept out of each other's memory."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.host import read_address_randomization
from limpet.audit.instruments.processes import read_processes, read_resting
from limpet.audit.judgements.processes import judge_compartments
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Processes of their own, no memory both writable and executable, ASLR, no core dumps."""
    return judge_compartments(
        target.observe(read_processes),
        target.observe(read_address_randomization),
        resting=target.observe(read_resting),
    )


CHECK = Check(
    statement="R2.6.1a",
    section="2.6.1",
    means=(Means.HOST,),
    run=run,
    needs=(Input.DEVICE_DIR,),
)
