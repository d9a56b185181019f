"""R2.2.4a: no function that requires authentication works without it."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.device import try_fresh_operations, try_operations
from limpet.audit.judgements.access import judge_refusals
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Every operation without a valid token, on the device and as it is shipped."""
    parts = [attempt("claimed", lambda: judge_refusals(target.observe(try_operations), "used"))]
    if target.fresh is not None:
        fresh = attempt(
            "as shipped", lambda: judge_refusals(target.observe(try_fresh_operations), "used")
        )
        parts.append(fresh)
    return combine_all(*parts)


CHECK = Check(
    statement="R2.2.4a",
    section="2.2.4",
    means=(Means.NETWORK,),
    run=run,
    needs=(Input.DEVICE,),
)
