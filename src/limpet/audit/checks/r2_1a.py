"""R2.1a: the device withstands attacks that impair its function or misuse it."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.device import try_operations
from limpet.audit.instruments.hostile import send_hostile_input, still_answers
from limpet.audit.instruments.processes import read_processes
from limpet.audit.judgements.access import judge_refusals
from limpet.audit.judgements.attacks import judge_ordeals
from limpet.audit.judgements.processes import judge_confinement
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Hostile input, use without the right to it, and what a taken process could still do."""
    return combine_all(
        attempt("input", lambda: _bear_hostile_input(target)),
        attempt("use", lambda: judge_refusals(target.observe(try_operations), "used")),
        attempt("host", lambda: judge_confinement(target.observe(read_processes))),
    )


def _bear_hostile_input(target: Target) -> Finding:
    ordeals = target.observe(send_hostile_input)
    return judge_ordeals(ordeals, answers_after=still_answers(target))


CHECK = Check(
    statement="R2.1a",
    section="2.1",
    means=(
        Means.NETWORK,
        Means.HOST,
    ),
    run=run,
    needs=(Input.DEVICE,),
)
