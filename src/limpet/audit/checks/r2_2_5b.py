"""R2.2.5b: no normal operation before default credentials are changed."""

from limpet.audit.check import Check, Input, Means, Stage
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.device import try_fresh_operations
from limpet.audit.instruments.guessing import try_known_credentials
from limpet.audit.judgements.access import judge_known_credentials, judge_refusals
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """As shipped, nothing but identity, claim and security contact answers."""
    fresh = target.need(target.fresh, "--fresh")
    return combine_all(
        attempt("as shipped", lambda: judge_refusals(target.observe(try_fresh_operations), "used")),
        attempt(
            "known credentials",
            lambda: judge_known_credentials(try_known_credentials(target, fresh)),
        ),
    )


CHECK = Check(
    statement="R2.2.5b",
    section="2.2.5",
    means=(Means.NETWORK,),
    run=run,
    needs=(Input.FRESH,),
    stage=Stage.GUESSING,
)
