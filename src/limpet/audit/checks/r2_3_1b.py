"""R2.3.1b: authentication secrets are protected in any case."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.tls import speak_plainly_to_device
from limpet.audit.judgements.tls import judge_plain_text
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """A client that does not encrypt gets no chance to show a password."""
    return judge_plain_text(target.observe(speak_plainly_to_device))


CHECK = Check(
    statement="R2.3.1b",
    section="2.3.1",
    means=(Means.NETWORK,),
    run=run,
    needs=(Input.DEVICE,),
)
