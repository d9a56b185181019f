"""R2.1e: the device refuses unauthorized parties."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.device import try_operations
from limpet.audit.instruments.hostile import send_foreign_names, still_answers
from limpet.audit.judgements.access import judge_refusals
from limpet.audit.judgements.attacks import judge_ordeals
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Every operation without a valid token, and requests that a hostile page would send."""
    return combine_all(
        attempt("strangers", lambda: judge_refusals(target.observe(try_operations), "used")),
        attempt("hostile pages", lambda: _judge_hostile_pages(target)),
    )


def _judge_hostile_pages(target: Target) -> Finding:
    ordeals = target.observe(send_foreign_names)
    return judge_ordeals(ordeals, answers_after=still_answers(target))


CHECK = Check(
    statement="R2.1e",
    section="2.1",
    means=(Means.NETWORK,),
    run=run,
    needs=(Input.DEVICE,),
)
