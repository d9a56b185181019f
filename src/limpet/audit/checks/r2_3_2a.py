"""R2.3.2a: encryption can be required where it is optional."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, Verdict, not_applicable
from limpet.audit.instruments.tls import speak_plainly_to_device
from limpet.audit.judgements.tls import judge_plain_text
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Not applicable where plain text is never served: encryption is then not optional."""
    plain = judge_plain_text(target.observe(speak_plainly_to_device))
    if plain.verdict is Verdict.PASS:
        return not_applicable(f"encryption is not optional: {plain.evidence}")
    return plain


CHECK = Check(
    statement="R2.3.2a",
    section="2.3.2",
    means=(Means.NETWORK,),
    run=run,
    needs=(Input.DEVICE,),
)
