"""R4c: conditions and past vulnerabilities are tested automatically."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.dossier import read_tests
from limpet.audit.instruments.gate import read_word
from limpet.audit.judgements.documents import judge_tests
from limpet.audit.judgements.gate import judge_rule
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The product's own tests, and the gate's word that they ran, past vulnerabilities' too."""

    def by_gate(rule: str) -> Finding:
        return attempt("gate", lambda: judge_rule(target.observe(read_word), rule))

    tests = judge_tests(target.observe(read_tests))
    return combine_all(tests, by_gate("tests-ran"), by_gate("advisories-tested"))


CHECK = Check(
    statement="R4c",
    section="4",
    means=(Means.DOSSIER,),
    run=run,
    needs=(Input.PRODUCT,),
)
