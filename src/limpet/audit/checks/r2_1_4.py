"""R2.1.4: algorithms can be chosen or negotiated."""

from limpet.audit.check import Check, Input, Means
from limpet.audit.finding import Finding, attempt, combine_all
from limpet.audit.instruments.tls import survey_device, survey_vendor
from limpet.audit.judgements.tls import judge_agility
from limpet.audit.target import Target

__all__ = ["CHECK", "run"]


def run(target: Target) -> Finding:
    """Each cipher suite and group offered alone, to the device and to the service."""
    parts = [attempt("device", lambda: judge_agility(target.observe(survey_device)))]
    if target.vendor is not None:
        parts.append(attempt("service", lambda: judge_agility(target.observe(survey_vendor))))
    return combine_all(*parts)


CHECK = Check(
    statement="R2.1.4",
    section="2.1.4",
    means=(
        Means.NETWORK,
        Means.SERVICE,
    ),
    run=run,
    needs=(Input.DEVICE,),
)
