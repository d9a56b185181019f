"""R5.1b: what follows the support period is public before selling."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.target import Target

from ._promises import find_promise

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The public support page, and what the device tells anybody who asks."""
    return find_promise(target, "after")


CHECK = Check(
    statement="R5.1b",
    section="5.1",
    means=(
        Means.SERVICE,
        Means.NETWORK,
        Means.DOSSIER,
    ),
    run=run,
    needs=(Input.PRODUCT,),
)
