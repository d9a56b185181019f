"""R4g: known security bugs are addressed before shipping."""

from limpet.audit.check import Check, Means
from limpet.audit.finding import Finding, failed
from limpet.audit.instruments.gate import read_word
from limpet.audit.judgements.gate import judge_rule
from limpet.audit.target import Target
from limpet.errors import Rejected

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """What the gate said of the newest release's components, in the word that was signed."""
    try:
        word = target.observe(read_word)
    except Rejected as error:
        return failed(error.message)
    return judge_rule(word, "vulnerabilities-addressed")


CHECK = Check(
    statement="R4g",
    section="4",
    means=(
        Means.SERVICE,
        Means.DOSSIER,
    ),
    run=run,
)
