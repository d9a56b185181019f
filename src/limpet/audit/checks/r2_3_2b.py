"""R2.3.2b: requiring encryption is the default."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.tls import speak_plainly, speak_plainly_to_device
from limpet.audit.judgements.tls import judge_plain_text
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Plain text is refused in the state found, and as shipped."""
    parts = [
        attempt("now", lambda: judge_plain_text(target.observe(speak_plainly_to_device))),
    ]
    if (fresh := target.fresh) is not None:
        parts.append(attempt("as shipped", lambda: judge_plain_text(speak_plainly(fresh))))
    return combine_all(*parts)


CHECK = Check(
    statement="R2.3.2b",
    section="2.3.2",
    means=(Means.NETWORK,),
    run=run,
    needs=(Input.DEVICE,),
)
