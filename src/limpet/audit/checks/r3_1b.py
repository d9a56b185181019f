"""R3.1b: hardware generators are used where feasible."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.host import read_kernel_randomness, read_noise_source
from limpet.audit.judgements.devices import judge_hardware_randomness
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The hardware generator, by the device's own test and by the kernel of its host."""
    return judge_hardware_randomness(
        target.observe(read_kernel_randomness), target.observe(read_noise_source)
    )


CHECK = Check(
    statement="R3.1b",
    section="3.1",
    means=(Means.HOST,),
    run=run,
    needs=(Input.DEVICE_DIR,),
)
