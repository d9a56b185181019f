"""R2.3.1a: traffic can be encrypted."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.tls import survey_device
from limpet.audit.judgements.tls import judge_encryption
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Each version of TLS offered alone."""
    return judge_encryption(target.observe(survey_device))


CHECK = Check(
    statement="R2.3.1a",
    section="2.3.1",
    means=(Means.NETWORK,),
    run=run,
    needs=(Input.DEVICE,),
)
