"""R5.3c: that query may require authentication."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, not_applicable, passed
from limpet.audit.instruments.http import ask
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """A permission: used or not."""
    status = ask(target, "GET", "/v1/identity").status
    if status in (401, 403):
        return passed(f"the identity is told to the authenticated only ({status})")
    return not_applicable(f"the device tells its identity to anybody ({status})")


CHECK = Check(
    statement="R5.3c",
    section="5.3",
    means=(Means.NETWORK,),
    run=run,
    needs=(Input.DEVICE,),
)
