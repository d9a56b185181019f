"""R2.6.1a: processes are kept out of each other's memory."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.host import read_address_randomization, read_mechanisms
from limpet.audit.instruments.processes import read_processes, read_resting
from limpet.audit.judgements.processes import judge_compartments, judge_mechanisms
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Processes of their own, no memory writable and executable at once or one after the other,
    ASLR, no core dumps."""
    resting = target.observe(read_resting)
    return combine_all(
        attempt(
            "memory",
            lambda: judge_compartments(
                target.observe(read_processes),
                target.observe(read_address_randomization),
                resting=resting,
            ),
        ),
        attempt(
            "new code",
            lambda: judge_mechanisms(target.observe(read_mechanisms), resting=resting),
        ),
    )


CHECK = Check(
    statement="R2.6.1a",
    section="2.6.1",
    means=(Means.HOST,),
    run=run,
    needs=(Input.DEVICE_DIR,),
)
