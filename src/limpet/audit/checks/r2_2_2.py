"""R2.2.2: secrets cannot be learned by watching the traffic."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.tls import speak_plainly_to_device, survey_device
from limpet.audit.judgements.tls import judge_algorithms, judge_encryption, judge_plain_text
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """A login in plain text must not be taken, and no weak encryption be negotiable."""
    return combine_all(
        attempt("plain text", lambda: judge_plain_text(target.observe(speak_plainly_to_device))),
        attempt("versions", lambda: judge_encryption(target.observe(survey_device))),
        attempt("algorithms", lambda: judge_algorithms(target.observe(survey_device))),
    )


CHECK = Check(
    statement="R2.2.2",
    section="2.2.2",
    means=(Means.NETWORK,),
    run=run,
    needs=(Input.DEVICE,),
)
