"""R4c: conditions and past vulnerabilities are tested automatically."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding
from limpet.audit.instruments.dossier import read_tests
from limpet.audit.judgements.documents import judge_tests
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """The product's own tests; what ties vulnerabilities to tests is missing."""
    return judge_tests(target.observe(read_tests))


CHECK = Check(
    statement="R4c",
    section="4",
    means=(Means.DOSSIER,),
    run=run,
    needs=(Input.PRODUCT,),
)
