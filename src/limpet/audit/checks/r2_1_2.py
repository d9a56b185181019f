"""R2.1.2: only standard, mature algorithms serve."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.repository import read_repository
from limpet.audit.instruments.tls import survey_device, survey_vendor
from limpet.audit.judgements.tls import judge_algorithms
from limpet.audit.judgements.updates import judge_schemes
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """What device and service accept when it is offered alone, and how firmware is signed."""
    parts = [attempt("device", lambda: judge_algorithms(target.observe(survey_device)))]
    if target.vendor is not None:
        parts += [
            attempt("service", lambda: judge_algorithms(target.observe(survey_vendor))),
            attempt("firmware", lambda: judge_schemes(target.observe(read_repository))),
        ]
    return combine_all(*parts)


CHECK = Check(
    statement="R2.1.2",
    section="2.1.2",
    means=(
        Means.NETWORK,
        Means.SERVICE,
        Means.DOSSIER,
    ),
    run=run,
    needs=(Input.DEVICE,),
)
