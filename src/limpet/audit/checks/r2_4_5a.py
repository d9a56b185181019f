"""R2.4.5a: updates are authenticated before they are installed."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.host import read_slots
from limpet.audit.instruments.repository import read_repository
from limpet.audit.judgements.updates import judge_mechanism, judge_slots
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Every signature from the root down, and the installed trees against what was verified."""
    return combine_all(
        attempt("service", lambda: judge_mechanism(target.observe(read_repository), target.now())),
        attempt("host", lambda: judge_slots(target.observe(read_slots))),
    )


CHECK = Check(
    statement="R2.4.5a",
    section="2.4.5",
    means=(
        Means.SERVICE,
        Means.HOST,
    ),
    run=run,
)
