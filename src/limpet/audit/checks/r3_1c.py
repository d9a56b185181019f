"""R3.1c: hardware generators may be combined with other sources."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attested
from limpet.audit.instruments.host import read_kernel_randomness
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """A permission: Linux mixes all its sources into one pool (random(4)); it was not measured."""
    kernel = target.observe(read_kernel_randomness)
    sources = [kernel.hardware, "the processor's instruction" * kernel.processor_instruction]
    named = " and ".join(source for source in sources if source) or "no hardware source"
    return attested(f"the kernel mixes {named} with interrupt timing into one pool")


CHECK = Check(
    statement="R3.1c",
    section="3.1",
    means=(Means.HOST,),
    run=run,
    needs=(Input.DEVICE_DIR,),
)
